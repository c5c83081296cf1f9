//! Files of a volume, replaced all at once.
//!
//! The files lie in a directory of their own, `..data` points at it, and the names containers use
//! point through `..data`. Changing that one link changes all files in the same moment.
//!
//! Source: `pkg/volume/util/atomic_writer.go` (the layout on disk).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use node::volume::Files;

/// The link that points at the files in use.
const DATA: &str = "..data";
/// The link while it is being made.
const DATA_NEW: &str = "..data_tmp";

/// Makes the volume hold exactly these files; `group` may read them too.
///
/// # Errors
/// Something on disk cannot be changed; the files before are then still in use.
pub(crate) fn write(volume: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    let in_use = fs::read_link(volume.join(DATA))
        .ok()
        .map(|link| volume.join(link));
    if in_use
        .as_deref()
        .is_some_and(|directory| is_same(directory, files))
    {
        return Ok(());
    }
    let name = jiff::Timestamp::now()
        .strftime("..%Y_%m_%d_%H_%M_%S.%9f")
        .to_string();
    let directory = volume.join(&name);
    fs::create_dir(&directory)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
    for (path, file) in files {
        let target = directory.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&target, &file.data)?;
        // The group the pod asks for must be able to read what its owner can.
        let mode = if group.is_some() {
            file.mode | 0o440
        } else {
            file.mode
        };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode))?;
        if group.is_some() || file.owner.is_some() {
            std::os::unix::fs::chown(&target, file.owner, group)?;
        }
    }
    let link = volume.join(DATA_NEW);
    if let Err(error) = fs::remove_file(&link)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    symlink(&name, &link)?;
    fs::rename(&link, volume.join(DATA))?;
    link_names(volume, files)?;
    match in_use {
        Some(old) => fs::remove_dir_all(old),
        None => Ok(()),
    }
}

/// Whether a directory holds exactly these files.
fn is_same(directory: &Path, files: &Files) -> bool {
    let mut there = BTreeSet::new();
    if collect(directory, directory, &mut there).is_err() || there.len() != files.len() {
        return false;
    }
    files.iter().all(|(path, file)| {
        let plain: PathBuf = Path::new(path).components().collect();
        there.contains(&plain) && fs::read(directory.join(path)).is_ok_and(|data| data == file.data)
    })
}

fn collect(root: &Path, directory: &Path, into: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(root, &entry.path(), into)?;
        } else if let Ok(path) = entry.path().strip_prefix(root) {
            into.insert(path.to_owned());
        }
    }
    Ok(())
}

/// Makes the names containers use, and takes away those they no longer may.
fn link_names(volume: &Path, files: &Files) -> io::Result<()> {
    let first = |path: &String| {
        path.split('/')
            .find(|part| !part.is_empty())
            .map(str::to_owned)
    };
    let names: BTreeSet<String> = files.keys().filter_map(first).collect();
    for name in &names {
        let link = volume.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    for entry in fs::read_dir(volume)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !names.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use node::volume::File;

    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        let file = |text: &str| File {
            data: text.as_bytes().to_vec(),
            mode: 0o640,
            owner: None,
        };
        list.iter()
            .map(|(path, text)| ((*path).to_owned(), file(text)))
            .collect()
    }

    fn names(volume: &Path) -> Vec<String> {
        let entries = fs::read_dir(volume).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| !name.starts_with("..2"));
        names.sort();
        names
    }

    #[test]
    fn files_are_replaced_all_at_once() {
        let volume = tempfile::tempdir().unwrap();
        let volume = volume.path();
        write(volume, &files(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(names(volume), ["..data", "a", "d"]);
        assert_eq!(fs::read_to_string(volume.join("d/b")).unwrap(), "2");
        let mode = fs::metadata(volume.join("a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let before = fs::read_link(volume.join("..data")).unwrap();
        write(volume, &files(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(fs::read_link(volume.join("..data")).unwrap(), before);
        write(volume, &files(&[("a", "3"), ("c", "4")]), None).unwrap();
        assert_eq!(names(volume), ["..data", "a", "c"]);
        assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "3");
        assert!(!volume.join(before).exists());
    }

    #[test]
    fn a_volume_may_be_empty() {
        let volume = tempfile::tempdir().unwrap();
        write(volume.path(), &Files::new(), None).unwrap();
        assert_eq!(names(volume.path()), ["..data"]);
    }
}
