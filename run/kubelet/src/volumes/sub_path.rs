//! Paths inside volumes: made where they are missing, and never outside, whatever links a pod put there.
//!
//! Source: `pkg/volume/util/subpath/subpath_linux.go`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};

use crate::mounts;

/// Opens a path inside a volume, makes it a directory if there is nothing, and says where on the node
/// the container shall take it from: `target`, where it is held by a mount, so that a link put there
/// later changes nothing.
///
/// # Errors
/// The path leads out of the volume, or cannot be made.
pub(crate) fn hold(root: &Path, sub: &str, target: &Path) -> io::Result<PathBuf> {
    let inside = open_inside(root, sub)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(root.join(sub));
    }
    let found = rustix::fs::fstat(&inside)?;
    if mounts::is_mount_point(target) {
        let held = rustix::fs::stat(target)?;
        if (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino) {
            return Ok(target.to_owned());
        }
        mounts::unmount_below(target)?;
    }
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir() {
        std::fs::create_dir_all(target)?;
    } else {
        let mut file = File::options();
        file.write(true).create(true).truncate(false).open(target)?;
    }
    let source = format!("/proc/self/fd/{}", inside.as_raw_fd());
    mounts::bind(Path::new(&source), target)?;
    Ok(target.to_owned())
}

/// Opens a path below a directory without ever leaving it; makes directories that are missing.
fn open_inside(root: &Path, sub: &str) -> io::Result<OwnedFd> {
    let open = |at: &OwnedFd, path: &str| {
        let how = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(at, path, how, Mode::empty(), ResolveFlags::BENEATH)
    };
    let root_fd = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if let Ok(found) = open(&root_fd, sub) {
        return Ok(found);
    }
    let like = rustix::fs::statat(&root_fd, "", AtFlags::EMPTY_PATH)?;
    let mode = Mode::from_raw_mode(like.st_mode & 0o7777);
    let mut path = String::new();
    let mut parent = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    for part in sub
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
        parent = match open(&root_fd, &path) {
            Ok(found) => found,
            Err(rustix::io::Errno::NOENT) => {
                rustix::fs::mkdirat(&parent, part, mode)?;
                let made = open(&root_fd, &path)?;
                // The process's mask must not take rights away that the volume gives.
                let itself = format!("/proc/self/fd/{}", made.as_raw_fd());
                rustix::fs::chmod(itself, mode)?;
                made
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_directories_are_made_and_links_that_lead_out_are_refused() {
        let root = tempfile::tempdir().unwrap();
        open_inside(root.path(), "a/b").unwrap();
        assert!(root.path().join("a/b").is_dir());
        std::os::unix::fs::symlink("/etc", root.path().join("out")).unwrap();
        assert!(open_inside(root.path(), "out").is_err());
        assert!(open_inside(root.path(), "out/passwd").is_err());
        assert!(open_inside(root.path(), "../x").is_err());
        std::os::unix::fs::symlink("a", root.path().join("in")).unwrap();
        open_inside(root.path(), "in/b").unwrap();
    }
}
