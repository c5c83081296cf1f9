//! How an operation on an open store fails. Failures to open one are `OpenError`.

use std::{error::Error, sync::Arc};

use crate::{Entry, Key, Revision};

/// Why an operation did not happen. Nothing was changed whenever one of these is returned, except that
/// after [`StoreError::Commit`] the write may come back when the store is next opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A put expected no object, and one is there.
    #[error("{} already exists at revision {}", current.key, current.revision)]
    Exists {
        /// The object's present version.
        current: Entry,
    },
    /// A put or delete expected a version, and no object is there.
    #[error("{key} does not exist")]
    Missing {
        /// The key that was asked for.
        key: Key,
    },
    /// A put or delete expected another version than the present one.
    #[error("{} is at revision {}, not at the expected one", current.key, current.revision)]
    Conflict {
        /// The object's present version.
        current: Entry,
    },
    /// The history that a watch or an older state needs is gone. Lists must be made anew.
    #[error("revision {asked} is compacted, the oldest kept one is {oldest}")]
    Compacted {
        /// The revision that was asked for.
        asked: Revision,
        /// The oldest revision that can still be asked for.
        oldest: Revision,
    },
    /// The revision does not exist yet; `wait_for` waits for it.
    #[error("revision {asked} is in the future, the latest is {latest}")]
    Future {
        /// The revision that was asked for.
        asked: Revision,
        /// The latest committed revision.
        latest: Revision,
    },
    /// A part of the key is empty, longer than 1024 bytes, or holds a NUL byte.
    #[error("invalid key {key:?}")]
    InvalidKey {
        /// The key that was asked for.
        key: Key,
    },
    /// The value is larger than the store takes.
    #[error("{key} has {bytes} bytes, the store takes at most {bytes_max}")]
    TooLarge {
        /// The key that was asked for.
        key: Key,
        /// Size of the value.
        bytes: usize,
        /// Largest size taken.
        bytes_max: usize,
    },
    /// The disk has no room for the write. Reads go on, and writes too as soon as there is room.
    #[error("the store's disk is full, writes are refused until there is room")]
    Full {
        /// What the disk said.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The write could not be made durable for another reason than a full disk.
    #[error("cannot commit to the store")]
    Commit {
        /// What the disk said.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store is closing or closed.
    #[error("the store is closed")]
    Closed,
}
