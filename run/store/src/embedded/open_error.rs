//! Why a store cannot be opened: each message says what is wrong, where, and what to do.

use std::{io, path::PathBuf};

/// Why a directory could not be opened as a store. Nothing in it was changed, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the store open.
    #[error(
        "{} is in use by {}: stop it, or choose another data directory",
        directory.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Owned {
        /// The store's directory.
        directory: PathBuf,
        /// The process that has it open, as it wrote down itself; `None` if it did not yet.
        pid: Option<u32>,
    },
    /// The store was written by a newer version of this program.
    #[error(
        "{} has store format {found}, this version reads up to {supported}: run the newer version, \
         or restore a backup",
        directory.display()
    )]
    Newer {
        /// The store's directory.
        directory: PathBuf,
        /// The format found.
        found: u64,
        /// The newest format this version reads.
        supported: u64,
    },
    /// A file of the store does not hold what was once durably written to it.
    #[error(
        "{} is damaged at byte {offset} ({detail}): restore a backup, or move the store's directory \
         away to start with an empty one",
        file.display()
    )]
    Corrupt {
        /// The damaged or missing file.
        file: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// A file whose end was cut or torn, and what was kept of it. The store was opened nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The file. It is left as it is until a checkpoint makes it superfluous.
    pub file: PathBuf,
    /// The end of the last whole commit in it.
    pub offset: u64,
    /// What was found there.
    pub detail: &'static str,
}

impl OpenError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
