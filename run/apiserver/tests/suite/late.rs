//! A store that takes its time to write, and writes also for those who wait no longer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::{
    Durability, Encoded, Entry, Key, MemoryStore, Page, Precondition, Range, ResourceCount,
    Revision, Snapshot, Store, StoreError, Watch, WatchScope,
};

/// How long a write takes.
pub(crate) const WRITE_TIME: Duration = Duration::from_millis(10);

/// Such a store.
pub(crate) struct LateStore(Arc<MemoryStore>);

impl Default for LateStore {
    fn default() -> Self {
        Self(Arc::new(MemoryStore::indexed_by(sampan_apiserver::index)))
    }
}

async fn late<T: Send + 'static>(write: impl Future<Output = T> + Send + 'static) -> T {
    let written = tokio::spawn(async {
        tokio::time::sleep(WRITE_TIME).await;
        write.await
    });
    written.await.unwrap()
}

#[async_trait]
impl Store for LateStore {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.0.get(key).await
    }
    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.0.range(range).await
    }
    async fn put(
        &self,
        key: Key,
        precondition: Precondition,
        value: Encoded,
        durability: Durability,
    ) -> Result<Entry, StoreError> {
        let store = Arc::clone(&self.0);
        late(async move { store.put(key, precondition, value, durability).await }).await
    }
    async fn delete(
        &self,
        key: Key,
        expected: Revision,
        tombstone: Encoded,
        durability: Durability,
    ) -> Result<Entry, StoreError> {
        let store = Arc::clone(&self.0);
        late(async move { store.delete(key, expected, tombstone, durability).await }).await
    }
    async fn watch(&self, scope: WatchScope, from: Revision) -> Result<Watch, StoreError> {
        self.0.watch(scope, from).await
    }
    fn revision(&self) -> Revision {
        self.0.revision()
    }
    async fn wait_for(&self, revision: Revision) -> Result<(), StoreError> {
        self.0.wait_for(revision).await
    }
    fn resources(&self) -> Vec<ResourceCount> {
        self.0.resources()
    }
    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.0.compact(revision).await
    }
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.0.snapshot().await
    }
}
