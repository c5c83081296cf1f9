//! Where everything of one containerd lies.

use std::path::PathBuf;

use dataplane::Instance;

/// Paths of the containerd of one instance.
///
/// What must survive a reboot lies in the data directory; what must not, in the run directory. The
/// socket is there too, since socket paths end at 108 bytes and data directories may be deep.
#[derive(Clone, Debug)]
pub struct Layout {
    instance: Instance,
}

impl Layout {
    /// The paths that belong to an instance.
    pub fn new(instance: Instance) -> Self {
        Self { instance }
    }

    /// The instance that everything belongs to.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The CRI socket.
    pub fn socket(&self) -> PathBuf {
        self.instance.run_dir().join("containerd.sock")
    }

    /// The log of containerd and its shims.
    pub fn log(&self) -> PathBuf {
        self.persistent().join("containerd.log")
    }

    /// Where users may put `REGISTRY/hosts.toml` to add mirrors and certificates.
    pub fn certs_dir(&self) -> PathBuf {
        self.persistent().join("certs.d")
    }

    /// Everything that survives a reboot: images, snapshots, the configuration.
    pub fn persistent(&self) -> PathBuf {
        self.instance.data_dir().join("containerd")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.persistent().join("config.toml")
    }

    pub(crate) fn cni_conf_dir(&self) -> PathBuf {
        self.instance.data_dir().join("network/cni")
    }
}
