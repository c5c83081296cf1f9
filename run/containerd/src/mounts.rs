//! Finds and undoes what was mounted below some directories.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::mount::{UnmountFlags, unmount};

/// Unmounts everything below the given directories, the last mounted first; not what is mounted on them.
pub(crate) fn unmount_below(dirs: &[&Path]) -> io::Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    for point in below(&table, dirs) {
        match unmount(&point, UnmountFlags::DETACH) {
            // Gone with the mount it was on.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The mount points of all cgroup hierarchies.
pub(crate) fn cgroup_hierarchies() -> io::Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let is_cgroup = |line: &&str| line.contains(" - cgroup ") || line.contains(" - cgroup2 ");
    Ok(table
        .lines()
        .filter(is_cgroup)
        .filter_map(mount_point)
        .collect())
}

fn below(mountinfo: &str, dirs: &[&Path]) -> Vec<PathBuf> {
    let mut points: Vec<PathBuf> = mountinfo
        .lines()
        .filter_map(mount_point)
        .filter(|point| {
            dirs.iter()
                .any(|dir| point.starts_with(dir) && point != dir)
        })
        .collect();
    points.reverse();
    points
}

/// The fifth field of a mountinfo line, in which the kernel writes blanks as octal numbers.
fn mount_point(line: &str) -> Option<PathBuf> {
    let field = line.split(' ').nth(4)?;
    let text = field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\");
    Some(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mounted_comes_first_and_neighbours_are_left_alone() {
        let table = "1 0 0:1 / / rw - ext4 d rw\n\
            2 1 0:2 / /data/a rw - tmpfs t rw\n\
            3 2 0:3 / /data/a/b\\040c rw - tmpfs t rw\n\
            4 1 0:4 / /data2 rw - tmpfs t rw\n\
            5 1 0:5 / /data rw - ext4 e rw\n";
        let points = below(table, &[Path::new("/data")]);
        assert_eq!(points, [Path::new("/data/a/b c"), Path::new("/data/a")]);
    }
}
