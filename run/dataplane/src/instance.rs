//! Names of everything a cluster makes outside its data directory.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Where the directories of all instances lie; emptied by a reboot, as run-time state must be.
const RUN_DIR: &str = "/run/sampan";

/// One cluster on this machine, told from others by its data directory.
///
/// Every name is derived from the directory's real path, so the same directory gives the same names
/// after a restart, and two directories give different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    id: String,
    data_dir: PathBuf,
}

impl Instance {
    /// The instance that owns a data directory, which must exist.
    ///
    /// # Errors
    /// When the real path cannot be found out.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        let data_dir = fs::canonicalize(data_dir)?;
        let id = format!("{:08x}", fold(data_dir.as_os_str().as_encoded_bytes()));
        Ok(Self { id, data_dir })
    }

    /// The real path of the data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Run-time state: sockets, mounts, address leases. Short, since socket paths end at 108 bytes.
    pub fn run_dir(&self) -> PathBuf {
        Path::new(RUN_DIR).join(&self.id)
    }

    /// The bridge that joins the pods of this node; at most 15 bytes, as the kernel asks.
    pub fn bridge(&self) -> String {
        format!("sampan{}", self.id)
    }

    /// The nftables table of this instance.
    pub fn table(&self) -> String {
        format!("sampan_{}", self.id)
    }

    /// The cgroup under which all pods of this instance live, absolute within each hierarchy.
    // DIFFERS: upstream's root is "/kubepods" for every node; ours has a name of its own, so that
    // instances and a kubelet of another distribution can share a machine.
    pub fn cgroup_root(&self) -> String {
        format!("/sampan-{}", self.id)
    }

    /// A number to start looking for free resources from, so that instances rarely collide.
    pub(crate) fn seed(&self) -> u32 {
        u32::from_str_radix(&self.id, 16).unwrap_or_default()
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// FNV-1a over 64 bits, folded to 32: stable across versions, which the standard hasher is not.
fn fold(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_the_kernel_and_differ_by_directory() {
        let one = tempfile::tempdir().unwrap();
        let two = tempfile::tempdir().unwrap();
        let (one, two) = (
            Instance::of(one.path()).unwrap(),
            Instance::of(two.path()).unwrap(),
        );
        assert_ne!(one.bridge(), two.bridge());
        assert!(one.bridge().len() <= 15, "{}", one.bridge());
        assert!(one.run_dir().join("containerd.sock").as_os_str().len() < 100);
    }

    #[test]
    fn another_spelling_of_a_directory_is_the_same_instance() {
        let dir = tempfile::tempdir().unwrap();
        let roundabout = dir.path().join("..").join(dir.path().file_name().unwrap());
        assert_eq!(
            Instance::of(dir.path()).unwrap(),
            Instance::of(&roundabout).unwrap()
        );
    }

    #[test]
    fn a_missing_directory_is_refused() {
        assert!(Instance::of(Path::new("/nowhere/at/all")).is_err());
    }
}
