//! Finds the programs that run containers.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::Missing;

/// Where programs are looked for after `PATH`; Debian keeps `runc` out of a user's `PATH`.
const PROGRAM_DIRS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Where CNI plugins are looked for: Debian's directory, then upstream's.
const CNI_DIRS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// The plugins that our network configuration names, and the one containerd adds itself.
const CNI_PLUGINS: [&str; 4] = ["bridge", "host-local", "portmap", "loopback"];

/// The programs that run containers, by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The runtime daemon; its shim lies beside it.
    pub containerd: PathBuf,
    /// The daemon's own client, for importing images.
    pub ctr: PathBuf,
    /// The program that makes one container.
    pub runc: PathBuf,
    /// The directory of the CNI plugins.
    pub cni_dir: PathBuf,
}

impl Programs {
    /// Looks for all programs and gives everything that is missing at once.
    pub(crate) fn find() -> Result<Self, Vec<Missing>> {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::find_in(&path, Path::is_file)
    }

    fn find_in(path: &OsStr, is_file: impl Fn(&Path) -> bool) -> Result<Self, Vec<Missing>> {
        let dirs: Vec<PathBuf> = env::split_paths(path)
            .chain(PROGRAM_DIRS.iter().map(PathBuf::from))
            .collect();
        let find = |name: &str| {
            dirs.iter()
                .map(|dir| dir.join(name))
                .find(|file| is_file(file))
        };
        let mut missing = Vec::new();
        let mut need = |name: &'static str, package: &'static str| {
            let found = find(name);
            if found.is_none() {
                missing.push(Missing::Program { name, package });
            }
            found.unwrap_or_default()
        };
        let containerd = need("containerd", "containerd");
        let ctr = need("ctr", "containerd");
        let runc = need("runc", "runc");
        // Only needed by name in PATH: the port mapping plugin, the network, mounting.
        for (name, package) in [
            ("ip", "iproute2"),
            ("nft", "nftables"),
            ("iptables", "iptables"),
            ("setsid", "util-linux"),
        ] {
            need(name, package);
        }
        let shim = containerd.with_file_name("containerd-shim-runc-v2");
        if !containerd.as_os_str().is_empty() && !is_file(&shim) {
            missing.push(Missing::Program {
                name: "containerd-shim-runc-v2",
                package: "containerd",
            });
        }
        let has_all = |dir: &PathBuf| CNI_PLUGINS.iter().all(|plugin| is_file(&dir.join(plugin)));
        let cni_dir = CNI_DIRS.iter().map(PathBuf::from).find(has_all);
        let Some(cni_dir) = cni_dir else {
            missing.push(Missing::CniPlugins);
            return Err(missing);
        };
        if missing.is_empty() {
            Ok(Self {
                containerd,
                ctr,
                runc,
                cni_dir,
            })
        } else {
            Err(missing)
        }
    }

    /// `PATH` for containerd: it looks its shim up there, and one of another version breaks all pods.
    pub(crate) fn search_path(&self) -> String {
        let own = self
            .containerd
            .parent()
            .map(Path::to_string_lossy)
            .unwrap_or_default();
        format!("{own}:{}", PROGRAM_DIRS.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_named_at_once() {
        let missing = Programs::find_in(OsStr::new(""), |_| false).unwrap_err();
        let text: Vec<String> = missing.iter().map(Missing::to_string).collect();
        assert_eq!(text.len(), 8, "{text:?}");
        assert_eq!(
            text[0],
            "containerd is not installed: run `apt-get install containerd`"
        );
    }

    #[test]
    fn programs_outside_the_path_are_found_where_debian_puts_them() {
        let programs = Programs::find_in(OsStr::new("/opt/new"), |file| {
            file == Path::new("/opt/new/containerd")
                || file == Path::new("/opt/new/containerd-shim-runc-v2")
                || file.starts_with("/usr/sbin")
                || file.starts_with("/opt/cni/bin")
        })
        .unwrap();
        assert_eq!(programs.containerd, Path::new("/opt/new/containerd"));
        assert_eq!(programs.runc, Path::new("/usr/sbin/runc"));
        assert_eq!(programs.cni_dir, Path::new("/opt/cni/bin"));
        assert!(programs.search_path().starts_with("/opt/new:"));
    }
}
