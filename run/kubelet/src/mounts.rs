//! Mounts of the node: memory filesystems for volumes, shared propagation.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, unmount,
};

/// All mount points, in the order they were mounted.
fn points() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| {
        line.split(' ')
            .nth(4)
            .map(|path| PathBuf::from(unescaped(path)))
    };
    text.lines().filter_map(point).collect()
}

/// `\040` is a space in the kernel's list.
fn unescaped(path: &str) -> String {
    path.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\")
}

/// Whether something is mounted at this very path.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    points().contains(&path)
}

/// Mounts a filesystem that lives in memory.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn mount_memory(path: &Path, bytes_max: Option<i64>) -> io::Result<()> {
    let options = bytes_max
        .filter(|&bytes| bytes > 0)
        .map(|bytes| format!("size={bytes}"));
    let options = options.map(CString::new).transpose()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", path, "tmpfs", flags, options.as_deref())?;
    Ok(())
}

/// Shows a file or directory at another path, too.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn bind(source: &Path, target: &Path) -> io::Result<()> {
    mount_bind(source, target)?;
    Ok(())
}

/// Lets mounts below a directory travel into containers and back.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn share(directory: &Path) -> io::Result<()> {
    if !is_mount_point(directory) {
        // With what is mounted below, which would otherwise be hidden from pods that are there.
        mount_bind_recursive(directory, directory)?;
    }
    mount_change(
        directory,
        MountPropagationFlags::SHARED | MountPropagationFlags::REC,
    )?;
    Ok(())
}

/// Unmounts everything below a directory, the last mounted first.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn unmount_below(directory: &Path) -> io::Result<()> {
    let Ok(directory) = fs::canonicalize(directory) else {
        return Ok(());
    };
    for point in points()
        .iter()
        .rev()
        .filter(|point| point.starts_with(&directory))
    {
        match unmount(point, UnmountFlags::DETACH) {
            // Where mounts are shared, one that is taken away takes its twin along.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_spelling_is_undone() {
        assert_eq!(unescaped("/a\\040b"), "/a b");
    }

    #[test]
    fn an_ordinary_directory_is_no_mount_point() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_mount_point(directory.path()));
        unmount_below(directory.path()).unwrap();
    }
}
