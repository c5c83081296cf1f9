//! The last step of a write: into the store, and told to whoever keeps something derived from it.
//!
//! A client may go at any moment, and the request's future with it, while the store may still carry the write out. Then
//! somebody must still be told, and a turn must last until the write has happened: see [`store::Store`].

use store::{Encoded, Entry, Key, Precondition, Revision, StoreError};

use super::durability;
use crate::call::Call;
use crate::policy;
use crate::turn::Turn;

/// What a write does to the stored object.
pub(super) enum Step {
    Put(Precondition, Encoded),
    /// Deletes this version; what watchers see go is the second.
    Delete(Revision, Encoded),
}

/// Carries a step out. Ends the turn when it is done, also if nobody waits for that any more.
///
/// # Errors
/// What the store refuses.
pub(super) async fn commit(
    call: &Call,
    turn: Option<Turn>,
    key: Key,
    step: Step,
) -> Result<Entry, StoreError> {
    let server = call.server.clone();
    let durability = durability(&call.kind);
    let must_end = turn.is_some() || policy::is_basis(&key.resource);
    let write = async move {
        let store = &server.config().store;
        let written = match step {
            Step::Put(precondition, value) => store.put(key, precondition, value, durability).await,
            Step::Delete(revision, last) => store.delete(key, revision, last, durability).await,
        };
        if let Ok(entry) = &written {
            server.committed(&entry.key.resource);
        }
        drop(turn);
        written
    };
    if must_end {
        // An error means that the write panicked, or that the process ends.
        let ended = tokio::spawn(write).await;
        ended.unwrap_or(Err(StoreError::Closed))
    } else {
        write.await
    }
}
