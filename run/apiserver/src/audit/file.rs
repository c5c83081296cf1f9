//! The file of the log: whole lines, a new file when it is large, old ones removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use access::audit::{Rotation, backup_name, surplus};
use jiff::{SignedDuration, Timestamp};

use super::OpenError;

/// For the owner alone. Source: apiserver `server/options/audit.go` `ensureLogFile`.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Tries of a backup's name, a millisecond apart.
const NAME_TRIES_MAX: u32 = 1000;

/// Where lines go.
pub(super) enum Out {
    Stdout(io::Stdout),
    File(LogFile),
}

impl Out {
    /// Writes one line, which ends with its line feed.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::Stdout(out) => {
                let mut out = out.lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
            Self::File(file) => file.write(line),
        }
    }
}

/// An open file and what is behind it.
pub(super) struct LogFile {
    path: PathBuf,
    rotation: Rotation,
    clock: fn() -> Timestamp,
    file: File,
    /// Whether it ends within a line, of a write that broke off.
    is_torn: bool,
}

impl LogFile {
    /// Opens a file to go on in it, and makes it with its folder if it is not there.
    pub(super) fn open(
        path: PathBuf,
        rotation: Rotation,
        clock: fn() -> Timestamp,
    ) -> Result<Self, OpenError> {
        let directory = directory(&path);
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory);
        made.map_err(|source| OpenError::Directory {
            path: directory.to_owned(),
            source,
        })?;
        let opened = open(&path).and_then(|mut file| {
            let is_torn = file.metadata()?.len() > 0 && last_byte(&mut file)? != b'\n';
            Ok((file, is_torn))
        });
        let (file, is_torn) = opened.map_err(|source| OpenError::Open {
            path: path.clone(),
            source,
        })?;
        let log = Self {
            path,
            rotation,
            clock,
            file,
            is_torn,
        };
        log.prune();
        Ok(log)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let (max, length) = (self.rotation.bytes_max, line.len() as u64);
        if max > 0 && length > max {
            return Err(io::Error::other(format!(
                "write length {length} exceeds maximum file size {max}"
            )));
        }
        if max > 0 && self.file.metadata()?.len() + length > max {
            self.rotate()?;
        }
        if self.is_torn {
            self.append("\n")?;
            self.is_torn = false;
        }
        self.append(line)
    }

    /// Writes all of a text, or nothing of it. Others may shorten the file at any time, to rotate it by copies.
    fn append(&mut self, text: &str) -> io::Result<()> {
        let bytes = self.file.metadata()?.len();
        let Err(error) = self.file.write_all(text.as_bytes()) else {
            return Ok(());
        };
        if let Err(kept) = self.file.set_len(bytes) {
            tracing::warn!(error = %kept, "part of an audit event stays in the log");
            self.is_torn = true;
        }
        Err(error)
    }

    /// Puts the file aside and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        match fs::rename(&self.path, self.backup()) {
            // Somebody else put it aside.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.file = open(&self.path)?;
        self.is_torn = false;
        self.prune();
        Ok(())
    }

    /// A name for the file that nobody has.
    fn backup(&self) -> PathBuf {
        let (name, now) = (self.name(), (self.clock)());
        let names = (0..NAME_TRIES_MAX).map(|late| {
            let made = now + SignedDuration::from_millis(i64::from(late));
            self.path.with_file_name(backup_name(&name, made))
        });
        let mut free = names.filter(|path| !path.exists());
        free.next()
            .unwrap_or_else(|| self.path.with_file_name(backup_name(&name, now)))
    }

    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Removes the backups that are not kept.
    fn prune(&self) {
        if let Err(error) = self.remove_surplus() {
            tracing::warn!(%error, "old audit logs were not removed");
        }
    }

    fn remove_surplus(&self) -> io::Result<()> {
        let directory = directory(&self.path);
        let entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
        let names = entries.iter().map(fs::DirEntry::file_name);
        let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        let names = names.iter().map(String::as_str);
        let surplus = surplus(&self.name(), names, &self.rotation, (self.clock)());
        surplus
            .into_iter()
            .try_for_each(|name| fs::remove_file(directory.join(name)))
    }
}

/// Where a file lies.
fn directory(path: &Path) -> &Path {
    let directory = path.parent();
    let named = directory.filter(|directory| *directory != Path::new(""));
    named.unwrap_or_else(|| Path::new("."))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(FILE_MODE)
        .open(path)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    let [last] = last;
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Rotation = Rotation {
        bytes_max: 0,
        backups_max: 0,
        days_max: 0,
    };

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn noon() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_newest_backups_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            bytes_max: 10,
            backups_max: 2,
            ..NEVER
        };
        let path = directory.path().join("logs/audit.log");
        let mut log = LogFile::open(path.clone(), rotation, noon).unwrap();
        for line in ["one\n", "two\n", "three\n", "four4\n", "five5\n"] {
            log.write(line).unwrap();
        }
        let wanted = [
            "audit-2026-11-28T12-00-00.001.log",
            "audit-2026-11-28T12-00-00.002.log",
            "audit.log",
        ];
        assert_eq!(names(path.parent().unwrap()), wanted);
        assert_eq!(fs::read_to_string(&path).unwrap(), "five5\n");
        let too_long = log.write("longer than that\n").unwrap_err();
        assert!(
            too_long
                .to_string()
                .contains("exceeds maximum file size 10")
        );
    }

    #[test]
    fn a_file_that_was_emptied_by_others_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let rotation = Rotation {
            bytes_max: 10,
            ..NEVER
        };
        let path = directory.path().join("audit.log");
        let mut log = LogFile::open(path.clone(), rotation, noon).unwrap();
        log.write("before\n").unwrap();
        fs::write(&path, "").unwrap();
        log.write("after\n").unwrap();
        assert_eq!(names(directory.path()), ["audit.log"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
    }

    #[test]
    fn what_was_torn_stays_a_line_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        fs::write(&path, "whole\nto").unwrap();
        let mut log = LogFile::open(path.clone(), NEVER, noon).unwrap();
        log.write("next\n").unwrap();
        log.write("last\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "whole\nto\nnext\nlast\n");
    }

    #[test]
    fn a_log_that_cannot_be_opened_says_which() {
        let directory = tempfile::tempdir().unwrap();
        let open = |path: &str| LogFile::open(directory.path().join(path), NEVER, noon);
        fs::write(directory.path().join("file"), "").unwrap();
        let error = open("file/audit.log").err().unwrap().to_string();
        assert!(
            error.starts_with("cannot make the audit log's directory"),
            "{error}"
        );
        fs::create_dir(directory.path().join("audit.log")).unwrap();
        let error = open("audit.log").err().unwrap().to_string();
        assert!(error.starts_with("cannot open audit log"), "{error}");
    }
}
