//! The store's directory: its owner, its format, and the names of its files.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::OpenError;

/// The format this version writes, and the newest it reads.
const FORMAT: u64 = 1;
const FORMAT_FILE: &str = "format";
const FORMAT_PREFIX: &str = "sampan-store ";
const LOCK_FILE: &str = "lock";
const SEGMENT_PREFIX: &str = "log-";
const CHECKPOINT_PREFIX: &str = "state-";
const UNFINISHED_SUFFIX: &str = ".tmp";

/// A directory owned by this process until dropped.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    path: PathBuf,
    /// It has no format yet: no store was ever opened in it.
    is_new: bool,
    /// Holds the advisory lock; the kernel releases it whatever way the process ends.
    _lock: Arc<File>,
}

/// The numbered files found in the directory, in order.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) segments: Vec<u64>,
    pub(super) checkpoints: Vec<u64>,
}

impl Directory {
    /// Takes the directory over, makes it if need be, and checks its format.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        // Secrets are in it: nobody else may look.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(path)
            .map_err(OpenError::io("create directory", path))?;
        let lock = lock(path)?;
        let mut directory = Self {
            path: path.to_owned(),
            is_new: false,
            _lock: Arc::new(lock),
        };
        directory.is_new = !directory.has_format()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn segment(&self, id: u64) -> PathBuf {
        self.path.join(format!("{SEGMENT_PREFIX}{id:016x}"))
    }

    pub(super) fn checkpoint(&self, sequence: u64) -> PathBuf {
        self.path
            .join(format!("{CHECKPOINT_PREFIX}{sequence:016x}"))
    }

    /// The name of a file while it is being made: ignored and removed at the next start.
    pub(super) fn unfinished(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(UNFINISHED_SUFFIX);
        PathBuf::from(name)
    }

    /// Gives a finished, synced file its name, durably.
    pub(super) fn finish(&self, unfinished: &Path, path: &Path) -> io::Result<()> {
        fs::rename(unfinished, path)?;
        self.sync()
    }

    /// Makes created, renamed and removed names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Lists the numbered files and removes unfinished ones.
    pub(super) fn files(&self) -> Result<Files, OpenError> {
        let mut files = Files::default();
        let failed = || OpenError::io("list directory", &self.path);
        for entry in fs::read_dir(&self.path).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(UNFINISHED_SUFFIX) {
                fs::remove_file(entry.path())
                    .map_err(OpenError::io("remove unfinished file", entry.path()))?;
            } else if let Some(id) = number(&name, SEGMENT_PREFIX) {
                files.segments.push(id);
            } else if let Some(sequence) = number(&name, CHECKPOINT_PREFIX) {
                files.checkpoints.push(sequence);
            }
        }
        files.segments.sort_unstable();
        files.checkpoints.sort_unstable();
        Ok(files)
    }

    /// The numbers of the checkpoints, in no order.
    pub(super) fn checkpoints(&self) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            found.extend(number(
                &entry?.file_name().to_string_lossy(),
                CHECKPOINT_PREFIX,
            ));
        }
        Ok(found)
    }

    /// Whether no store was ever opened in the directory.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether there is a format, which this version reads.
    fn has_format(&self) -> Result<bool, OpenError> {
        let path = self.path.join(FORMAT_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => self.check_format_text(&path, &text).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(bad_format(path)),
            Err(source) => Err(OpenError::Io {
                action: "read",
                path,
                source,
            }),
        }
    }

    fn check_format_text(&self, path: &Path, text: &str) -> Result<(), OpenError> {
        let found = text
            .strip_prefix(FORMAT_PREFIX)
            .and_then(|rest| rest.trim_end().parse().ok());
        match found {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => {
                let directory = self.path.clone();
                Err(OpenError::Newer {
                    directory,
                    found,
                    supported: FORMAT,
                })
            }
            _ => Err(bad_format(path.to_owned())),
        }
    }

    /// Why a store without a format cannot be opened.
    pub(super) fn without_format(&self) -> OpenError {
        OpenError::Corrupt {
            file: self.path.join(FORMAT_FILE),
            offset: 0,
            detail: "the file is missing beside a store's other files".to_owned(),
        }
    }

    /// Writes the format, beside the first segment: from then on a directory without a log has lost it.
    pub(super) fn write_format(&self) -> Result<(), OpenError> {
        let path = &self.path.join(FORMAT_FILE);
        let failed = || OpenError::io("write", path);
        let unfinished = Self::unfinished(path);
        let mut file = File::create(&unfinished).map_err(failed())?;
        file.write_all(format!("{FORMAT_PREFIX}{FORMAT}\n").as_bytes())
            .map_err(failed())?;
        file.sync_all().map_err(failed())?;
        self.finish(&unfinished, path).map_err(failed())
    }
}

fn bad_format(file: PathBuf) -> OpenError {
    OpenError::Corrupt {
        file,
        offset: 0,
        detail: "it does not name a store format".to_owned(),
    }
}

fn number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    (digits.len() == 16)
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

/// Checks that no process has the store of a directory open; one that is not there is nobody's.
///
/// # Errors
/// [`OpenError::Owned`] names the owner.
pub fn check_unowned(directory: &Path) -> Result<(), OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(OpenError::io("open", &path))?,
    };
    // Taken for a moment; the file's end gives it back.
    try_lock(&file, directory, &path)
}

fn try_lock(mut file: &File, directory: &Path, path: &Path) -> Result<(), OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            Err(OpenError::Owned {
                directory: directory.to_owned(),
                pid,
            })
        }
        Err(TryLockError::Error(source)) => Err(OpenError::io("lock", path)(source)),
    }
}

/// Locks the directory, or names its owner.
fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let failed = || OpenError::io("lock", &path);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed())?;
    try_lock(&file, directory, &path)?;
    // In place and always as long, so that a full disk does not keep a store from opening.
    let pid = format!("{:<10}\n", std::process::id());
    file.write_all_at(pid.as_bytes(), 0).map_err(failed())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_owner_learns_the_first_ones_pid() {
        let dir = tempfile::tempdir().unwrap();
        let first = Directory::open(dir.path()).unwrap();
        let refused = Directory::open(dir.path()).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(refused, OpenError::Owned { pid: Some(found), .. } if found == pid));
        let text = refused.to_string();
        assert!(
            text.contains(&format!("in use by process {pid}: stop it")),
            "{text}"
        );
        drop(first);
        Directory::open(dir.path()).unwrap();
    }

    #[test]
    fn newer_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FORMAT_FILE), "sampan-store 2\n").unwrap();
        let refused = Directory::open(dir.path()).unwrap_err();
        assert!(
            matches!(
                refused,
                OpenError::Newer {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{refused}"
        );
    }

    #[test]
    fn nonsense_format_is_damage() {
        for nonsense in [
            &b"etcd 3\n"[..],
            b"",
            b"sampan-store x\n",
            b"\xff\xfe",
            b"sampan-store 0",
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(FORMAT_FILE), nonsense).unwrap();
            let refused = Directory::open(dir.path()).unwrap_err();
            assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
        }
    }

    #[test]
    fn unfinished_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path()).unwrap();
        let stray = Directory::unfinished(&directory.segment(7));
        fs::write(&stray, b"half").unwrap();
        fs::write(directory.segment(3), b"x").unwrap();
        fs::write(directory.checkpoint(9), b"x").unwrap();
        let files = directory.files().unwrap();
        assert_eq!((files.segments, files.checkpoints), (vec![3], vec![9]));
        assert!(!stray.exists());
    }
}
