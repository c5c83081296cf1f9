//! The one thread that changes the committed state: it gathers waiting writes, makes them durable with one
//! sync, publishes the state they lead to, and only then answers.

use std::{error::Error, io, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use crate::{
    Durability, Entry, Revision, StoreError,
    committed::Committed,
    state::{Applied, State, Write},
};

use super::log::{Log, is_full};

/// Most writes in one commit.
const BATCH_WRITES_MAX: usize = 1024;
/// A commit takes no further write once it has so many bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Most writes that wait for the committer; further ones wait with their callers.
pub(super) const WAITING_WRITES_MAX: usize = 4096;

/// A write and who waits for it.
pub(super) struct Request {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Entry, StoreError>>,
}

/// Commits until every sender of requests is gone, then closes the log.
pub(super) fn run(committed: &Committed, log: Log, mut requests: mpsc::Receiver<Request>) {
    let mut committer = Committer {
        committed,
        log,
        burnt: Revision::FIRST,
    };
    let mut batch = Vec::new();
    while let Some(first) = requests.blocking_recv() {
        let mut bytes = first.write.value.bytes.len();
        batch.push(first);
        while batch.len() < BATCH_WRITES_MAX
            && bytes < BATCH_BYTES_MAX
            && let Ok(next) = requests.try_recv()
        {
            bytes += next.write.value.bytes.len();
            batch.push(next);
        }
        committer.commit(&mut batch);
    }
    committed.close();
    committer.log.close(committed.revision());
}

struct Committer<'a> {
    committed: &'a Committed,
    log: Log,
    /// Revisions up to this one were used by commits that failed, which may yet be on the disk.
    burnt: Revision,
}

/// What becomes of one write of a batch.
type Outcome = (
    oneshot::Sender<Result<Entry, StoreError>>,
    Result<Entry, StoreError>,
);

impl Committer<'_> {
    fn commit(&mut self, batch: &mut Vec<Request>) {
        let mut state = self.committed.state();
        state.revision = state.revision.max(self.burnt);
        let mut applied: Vec<Applied> = Vec::with_capacity(batch.len());
        let mut sync = false;
        let outcomes: Vec<Outcome> = batch
            .drain(..)
            .map(|Request { write, reply }| {
                let durability = write.durability;
                let outcome = state.apply(write).map(|one| {
                    sync |= durability == Durability::Synced;
                    let entry = one.event.entry.clone();
                    applied.push(one);
                    entry
                });
                (reply, outcome)
            })
            .collect();
        if applied.is_empty() {
            return answer(outcomes);
        }
        match self.log.commit(&applied, &state, sync) {
            Ok(()) => self.publish(state, &applied, outcomes),
            Err(error) => {
                self.burnt = state.revision;
                refuse(outcomes, error);
            }
        }
    }

    fn publish(&self, state: State, applied: &[Applied], outcomes: Vec<Outcome>) {
        let revision = state.revision;
        self.committed.publish(state, applied);
        answer(outcomes);
        self.committed.deliver(applied, revision);
    }
}

fn answer(outcomes: Vec<Outcome>) {
    for (reply, outcome) in outcomes {
        // An error means that nobody waits any more; the write stands.
        drop(reply.send(outcome));
    }
}

/// Answers every write of a failed batch: also a refused one, for what refused it may not have happened.
fn refuse(outcomes: Vec<Outcome>, error: io::Error) {
    let full = is_full(&error);
    tracing::error!(
        error = &error as &dyn Error,
        writes = outcomes.len(),
        "commit failed"
    );
    let source: Arc<dyn Error + Send + Sync> = Arc::new(error);
    for (reply, _) in outcomes {
        let source = Arc::clone(&source);
        let error = if full {
            StoreError::Full { source }
        } else {
            StoreError::Commit { source }
        };
        drop(reply.send(Err(error)));
    }
}
