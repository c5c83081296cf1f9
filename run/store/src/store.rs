//! The contract every store fulfils. `contract` has the suite that checks it.

use async_trait::async_trait;

use crate::{
    Durability, Encoded, Entry, Key, Page, Precondition, Range, ResourceCount, Revision, Snapshot,
    StoreError, Watch, WatchScope,
};

/// A revisioned object store.
///
/// Guarantees: writes are linearizable, each gets the next revision; a write is visible to readers
/// and watchers only once it is as durable as was asked; every page is the state at one revision;
/// a watch delivers every event of its scope exactly once, in order of revision.
///
/// Every future may be dropped at any point. A put or delete whose future is dropped may still happen.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The present version of one object, or `None`.
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError>;

    /// The objects of one resource, consistent at the page's revision.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when the state at `range.at` is gone, [`StoreError::Future`] when it
    /// has not happened yet.
    async fn range(&self, range: Range) -> Result<Page, StoreError>;

    /// Writes one object if the precondition holds and returns the committed version.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Missing`] or [`StoreError::Conflict`] when it does not.
    async fn put(
        &self,
        key: Key,
        precondition: Precondition,
        value: Encoded,
        durability: Durability,
    ) -> Result<Entry, StoreError>;

    /// Deletes one object if its present version is `expected`; `tombstone` is its last state.
    ///
    /// The returned entry, which the Deleted event carries too, is the tombstone with the revision of
    /// the deletion in its bytes.
    ///
    /// # Errors
    /// [`StoreError::Missing`] or [`StoreError::Conflict`] when the precondition does not hold.
    async fn delete(
        &self,
        key: Key,
        expected: Revision,
        tombstone: Encoded,
        durability: Durability,
    ) -> Result<Entry, StoreError>;

    /// The events of a scope with a revision greater than `from`, then those to come.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when events after `from` are gone, [`StoreError::Future`] when `from`
    /// has not happened yet.
    async fn watch(&self, scope: WatchScope, from: Revision) -> Result<Watch, StoreError>;

    /// The latest committed revision: what a list made now would carry.
    fn revision(&self) -> Revision;

    /// Returns once `revision` is committed. The caller bounds the wait.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the store closes before.
    async fn wait_for(&self, revision: Revision) -> Result<(), StoreError>;

    /// The resources that have or had objects, ordered by name, with their counts.
    fn resources(&self) -> Vec<ResourceCount>;

    /// Forgets the history up to and including `revision`: states before it are gone, and so are watches from before
    /// a change that is forgotten. What did not change stays watchable.
    ///
    /// Stores bound the size of their history themselves; the API server bounds its age.
    ///
    /// # Errors
    /// [`StoreError::Future`] when `revision` has not happened yet.
    async fn compact(&self, revision: Revision) -> Result<(), StoreError>;

    /// Every object at one revision.
    async fn snapshot(&self) -> Result<Snapshot, StoreError>;
}
