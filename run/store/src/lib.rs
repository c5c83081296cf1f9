//! The revisioned object store: keys, committed versions, consistent ranges and resumable watches.
//!
//! Stored form = wire form. A version is one shared buffer of canonical JSON with its revision inside; the
//! same buffer stands in the committed state, in the history, in every page and in every watcher's queue.
//!
//! Never in this crate: knowledge of any Kubernetes kind or field (terms come from an injected
//! [`Indexer`]), HTTP, decoding of values, a clock, or a second writer of the committed state. Only the API server opens a store.
//!
//! Bytes on disk, the commit protocol and the invariants: `docs/design/store.md`.

mod committed;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod embedded;
mod error;
mod history;
mod hub;
mod key;
mod memory;
mod query;
mod state;
mod store;
mod watch;

pub use self::{
    embedded::{Embedded, OpenError, Repair, check_unowned},
    error::StoreError,
    key::{Durability, Encoded, Entry, Key, Precondition, Revision},
    memory::MemoryStore,
    query::{AnyOf, Indexer, Page, Range, ResourceCount, Snapshot, Term, TermTest},
    state::Shared,
    store::Store,
    watch::{Change, Event, Watch, WatchEnd, WatchItem, WatchScope},
};
