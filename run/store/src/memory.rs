//! A store that forgets everything when it is dropped: for tests of its users.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::{
    Durability, Encoded, Entry, Key, Page, Precondition, Range, ResourceCount, Revision, Snapshot,
    Store, StoreError, Term, Watch, WatchScope,
    committed::Committed,
    hub::Hub,
    state::{Intent, State, Write},
};

/// The committed state without a disk. No thread, no timer: works under a paused clock.
pub struct MemoryStore {
    committed: Committed,
    /// Held while a write is staged, published and delivered.
    writing: Mutex<()>,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore")
            .field("revision", &self.committed.revision())
            .finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store without index terms.
    pub fn new() -> Self {
        Self::indexed_by(|_, _| Vec::new())
    }

    /// An empty store with these index terms.
    pub fn indexed_by(indexer: impl Fn(&Key, &[u8]) -> Vec<Term> + Send + Sync + 'static) -> Self {
        Self {
            committed: Committed::new(
                State::empty(Revision::FIRST),
                Hub::since(Revision::FIRST),
                Arc::new(indexer),
            ),
            writing: Mutex::new(()),
        }
    }

    fn write(&self, write: Write) -> Result<Entry, StoreError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.committed.state();
        let applied = [state.apply(write)?];
        let revision = state.revision;
        self.committed.publish(state, &applied);
        self.committed.deliver(&applied, revision);
        let [applied] = applied;
        Ok(applied.event.entry.clone())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        self.committed.close();
    }
}

#[async_trait]
impl Store for MemoryStore {
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
        self.write(Write {
            key,
            intent: Intent::Put {
                precondition,
                terms,
            },
            value,
            durability,
        })
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
mod tests {
    use super::*;
    use crate::contract;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn fulfils_the_contract() {
        contract::run(async || {
            Arc::new(MemoryStore::indexed_by(|_, value| contract::terms(value))) as _
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn random_histories_match_a_map() {
        for seed in 0..10 {
            let store: contract::Subject =
                Arc::new(MemoryStore::indexed_by(|_, value| contract::terms(value)));
            contract::check_history(&store, seed, 300).await;
        }
    }
}
