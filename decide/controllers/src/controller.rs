//! The shape every controller has.

use jiff::Timestamp;
use meta::{Key, Object, Resource};
use serde_json::Value;

use crate::action::Action;
use crate::snapshot::Snapshot;

/// A reconciler whose two halves are both pure.
pub trait Controller: Send + Sync + 'static {
    /// All that `decide` may depend on.
    type Observed: Send + Sync;
    /// Event source, metric label and log field; upstream's word.
    const NAME: &'static str;
    /// The kind whose keys are reconciled.
    const SUBJECT: Resource;
    /// Every kind that `observe` reads, the subject among them.
    const WATCHES: &'static [Resource];

    /// The keys that may have to be decided anew after an object of a watched kind changed. It is asked about the
    /// object before and after the change.
    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key>;
    /// What there is to know about a key; `None` when the object is gone.
    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Self::Observed>;
    /// What should be done now.
    fn decide(seen: &Self::Observed, now: Timestamp) -> Decision;
    /// What should be done when one of the actions was refused, before all is tried again; `None` is nothing.
    ///
    /// A status says what was seen, and so it is told all the same. Controllers whose status says more than that have
    /// their own answer.
    fn failed(seen: &Self::Observed, _failure: &Failure, now: Timestamp) -> Option<Decision> {
        let status = Some(Self::decide(seen, now).status?);
        Some(Decision {
            status,
            ..Decision::default()
        })
    }
}

/// What to do, in order; why; and when to ask again if nothing changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Writes and events, in order.
    pub actions: Vec<Action>,
    /// The subject and the status it should have, written last and only when it differs.
    pub status: Option<Status>,
    /// Short sentences for the log.
    pub why: Vec<String>,
    /// When to decide again if nothing changes before.
    pub wake_at: Option<Timestamp>,
}

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What the subject is.
    pub resource: Resource,
    /// The subject as it was seen.
    pub seen: std::sync::Arc<Object>,
    /// The status it should have.
    pub status: Value,
}

impl Decision {
    /// Asks to be asked again at the earlier of two times.
    pub fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |before| before.min(at)));
    }
}

/// An action that the API server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Position of the action.
    pub index: usize,
    /// HTTP code; 0 when there was no answer.
    pub code: u16,
    /// Machine-readable reason.
    pub reason: String,
    /// The server's words.
    pub message: String,
}
