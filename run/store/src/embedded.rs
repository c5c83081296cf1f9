//! The embedded store: the committed state in memory, every change in a log of its own on disk.

mod checkpoint;
mod committer;
mod directory;
mod faults;
mod frame;
mod log;
mod open_error;
mod recovery;
mod segment;

use std::{
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Durability, Encoded, Entry, Indexer, Key, Page, Precondition, Range, ResourceCount, Revision,
    Snapshot, Store, StoreError, Watch, WatchScope,
    committed::Committed,
    state::{Intent, Write},
};

use self::{
    committer::{Request, WAITING_WRITES_MAX},
    directory::Directory,
    faults::Faults,
    log::Sizes,
    recovery::Recovered,
};
pub use self::{
    directory::check_unowned,
    open_error::{OpenError, Repair},
};

/// A store in a directory of this machine, owned by this process.
///
/// Dropping it waits for the writes under way and closes it cleanly.
pub struct Embedded {
    committed: Arc<Committed>,
    repairs: Vec<Repair>,
    /// Taken when the store is dropped, which ends the committer.
    requests: Option<mpsc::Sender<Request>>,
    committer: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("revision", &self.committed.revision())
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the store in a directory and recovers what was committed; makes an empty one if need be.
    ///
    /// Blocks while it reads the files.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the directory and what to do.
    pub fn open(directory: impl AsRef<Path>, indexer: Arc<Indexer>) -> Result<Self, OpenError> {
        Self::open_with(
            directory.as_ref(),
            indexer,
            Sizes::default(),
            Faults::default(),
        )
    }

    fn open_with(
        path: &Path,
        indexer: Arc<Indexer>,
        sizes: Sizes,
        faults: Faults,
    ) -> Result<Self, OpenError> {
        let directory = Directory::open(path)?;
        let Recovered {
            state,
            hub,
            log,
            repairs,
        } = recovery::recover(&directory, &*indexer, sizes, faults)?;
        let committed = Arc::new(Committed::new(state, hub, indexer));
        let (requests, receiver) = mpsc::channel(WAITING_WRITES_MAX);
        let committer = thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn({
                let committed = Arc::clone(&committed);
                move || committer::run(&committed, log, receiver)
            })
            .map_err(OpenError::io("start a thread for", path))?;
        Ok(Self {
            committed,
            repairs,
            requests: Some(requests),
            committer: Some(committer),
        })
    }

    /// What was cut off when the store was opened, usually nothing.
    pub fn repairs(&self) -> &[Repair] {
        &self.repairs
    }

    async fn write(&self, write: Write) -> Result<Entry, StoreError> {
        // What the published state refuses, every later one refuses too: no need to queue.
        self.committed.check(&write)?;
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        requests
            .send(Request { write, reply })
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the store's committer panicked");
        }
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        Ok(self.committed.get(key))
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.committed.range(&range)
    }

    async fn put(
        &self,
        key: Key,
        precondition: Precondition,
        value: Encoded,
        durability: Durability,
    ) -> Result<Entry, StoreError> {
        let terms = self.committed.terms(&key, &value.bytes);
        let intent = Intent::Put {
            precondition,
            terms,
        };
        self.write(Write {
            key,
            intent,
            value,
            durability,
        })
        .await
    }

    async fn delete(
        &self,
        key: Key,
        expected: Revision,
        tombstone: Encoded,
        durability: Durability,
    ) -> Result<Entry, StoreError> {
        let intent = Intent::Delete { expected };
        self.write(Write {
            key,
            intent,
            value: tombstone,
            durability,
        })
        .await
    }

    async fn watch(&self, scope: WatchScope, from: Revision) -> Result<Watch, StoreError> {
        self.committed.watch(scope, from)
    }

    fn revision(&self) -> Revision {
        self.committed.revision()
    }

    async fn wait_for(&self, revision: Revision) -> Result<(), StoreError> {
        self.committed.wait_for(revision).await
    }

    fn resources(&self) -> Vec<ResourceCount> {
        self.committed.resources()
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.committed.compact(revision)
    }

    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(self.committed.snapshot())
    }
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
