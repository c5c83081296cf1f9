//! What a machine must have before containers can run on it, each told in one sentence.

use std::{ffi::CString, fs, io, path::Path};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::{Layout, Programs, config::OomScore};

/// Controllers that limits and statistics of pods cannot do without.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Bit of `CAP_SYS_RESOURCE` in a capability set.
///
/// Source: Linux, `include/uapi/linux/capability.h`.
const CAP_SYS_RESOURCE: u32 = 24;

/// Something the machine lacks, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// The process has no right to make namespaces and mounts.
    #[error(
        "running containers needs root: run the command with sudo, or use `sampan server` for a control plane without a node"
    )]
    Root,
    /// A program is not installed.
    #[error("{name} is not installed: run `apt-get install {package}`")]
    Program {
        /// The program.
        name: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The network plugins are not installed.
    #[error(
        "the CNI plugins bridge, host-local, portmap and loopback are not installed: run `apt-get install containernetworking-plugins`"
    )]
    CniPlugins,
    /// Container file systems cannot be mounted.
    #[error(
        "overlayfs does not work in {dir}: load it with `modprobe overlay`, and put the data directory on a disk (ext4 or xfs), not on another overlay"
    )]
    Overlay {
        /// The directory it was tried in.
        dir: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The name of the data directory does not fit into the options of an overlay.
    #[error(
        "containers cannot live in {0}: overlayfs takes no directory with a colon, comma or backslash in its name; choose another --data-dir"
    )]
    DataDir(String),
    /// The kernel cannot limit something.
    #[error(
        "the cgroup controller {0:?} is not available: mount it, or boot the kernel with `cgroup_enable={0}`"
    )]
    Controller(&'static str),
    /// The machine's state could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Checks everything that can be checked before starting, and names all that is missing.
///
/// # Errors
/// At least one [`Missing`], in the order in which to mend them.
pub fn check(layout: &Layout) -> Result<Programs, Vec<Missing>> {
    check_root().map_err(|missing| vec![missing])?;
    let mut missing = Vec::new();
    let programs = Programs::find();
    let dir = layout.persistent();
    if dir
        .to_str()
        .is_none_or(|text| text.contains([':', ',', '\\']))
    {
        missing.push(Missing::DataDir(dir.display().to_string()));
    } else if let Err(error) = overlay(&dir) {
        missing.push(error);
    }
    match controllers() {
        Ok(present) => missing.extend(
            CONTROLLERS
                .into_iter()
                .filter(|name| !present.iter().any(|present| present == name))
                .map(Missing::Controller),
        ),
        Err(error) => missing.push(error),
    }
    match programs {
        Ok(programs) if missing.is_empty() => Ok(programs),
        Ok(_) => Err(missing),
        Err(mut programs) => {
            programs.append(&mut missing);
            Err(programs)
        }
    }
}

/// Checks that the process may make namespaces and mounts.
///
/// # Errors
/// [`Missing::Root`].
pub fn check_root() -> Result<(), Missing> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Missing::Root)
    }
}

/// Whether `oom_score_adj` may be lowered by this process and those it starts.
pub(crate) fn oom_score() -> OomScore {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if has_capability(&status, CAP_SYS_RESOURCE) {
        OomScore::Free
    } else {
        OomScore::Restricted
    }
}

fn has_capability(status: &str, bit: u32) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    mask.checked_shr(bit).unwrap_or(0) & 1 == 1
}

/// Mounts an overlay for a moment, in the file system that will hold the containers'.
fn overlay(dir: &Path) -> Result<(), Missing> {
    // By process, since two may check at once; beside the directory, which a refused start must not make.
    let probe = dir.with_file_name(format!("probe-{}", std::process::id()));
    let outcome = try_overlay(&probe);
    let cleared = fs::remove_dir_all(&probe);
    outcome.and(cleared).map_err(|source| Missing::Overlay {
        dir: dir.display().to_string(),
        source,
    })
}

fn try_overlay(probe: &Path) -> io::Result<()> {
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir_all(probe.join(name))?;
    }
    let dir = |name| probe.join(name).display().to_string();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        dir("lower"),
        dir("upper"),
        dir("work")
    );
    let options = CString::new(options)?;
    let merged = probe.join("merged");
    mount(
        "overlay",
        &merged,
        "overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )?;
    Ok(unmount(&merged, UnmountFlags::DETACH)?)
}

/// The controllers this machine offers, as one text of words.
fn controllers() -> Result<Vec<String>, Missing> {
    let path = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(path).map_err(|source| Missing::Read { path, source })?;
    let unified = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    Ok(offered(&mounts, &unified))
}

/// Controllers of mounted version 1 hierarchies and of the unified one.
fn offered(mountinfo: &str, unified: &str) -> Vec<String> {
    let version_1 = mountinfo.lines().filter_map(|line| {
        let (_, after) = line.split_once(" - ")?;
        let mut fields = after.split(' ');
        (fields.next()? == "cgroup").then(|| fields.nth(1).unwrap_or_default())
    });
    version_1
        .flat_map(|options| options.split(','))
        .chain(unified.split_whitespace())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_seen_in_both_versions() {
        let version_1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let offered_1 = offered(version_1, "hugetlb\n");
        for name in ["cpu", "cpuacct", "memory", "hugetlb"] {
            assert!(
                offered_1.iter().any(|offered| offered == name),
                "{name} in {offered_1:?}"
            );
        }
        assert!(!offered_1.iter().any(|offered| offered == "pids"));
        assert_eq!(offered("", "cpu memory pids\n"), ["cpu", "memory", "pids"]);
    }

    #[test]
    fn a_data_directory_that_no_overlay_can_lie_in_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a:b");
        std::fs::create_dir(&dir).unwrap();
        let layout = Layout::new(dataplane::Instance::of(&dir).unwrap());
        let missing = check(&layout).unwrap_err();
        // Without root nothing else is looked at.
        let is_told = |it: &Missing| matches!(it, Missing::DataDir(_) | Missing::Root);
        assert!(missing.iter().any(is_told), "{missing:?}");
    }

    #[test]
    fn capabilities_are_read_bit_by_bit() {
        assert!(!has_capability(
            "CapEff:\t000001fffeffffff\n",
            CAP_SYS_RESOURCE
        ));
        assert!(has_capability(
            "CapEff:\t000001ffffffffff\n",
            CAP_SYS_RESOURCE
        ));
        assert!(!has_capability("", CAP_SYS_RESOURCE));
    }
}
