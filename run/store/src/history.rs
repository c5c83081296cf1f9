//! The bounded memory of one resource's changes, from which watches resume and older states are rebuilt.

use std::collections::VecDeque;

use crate::{Revision, state::Applied};

/// Most changes kept per resource.
pub(crate) const HISTORY_EVENTS_MAX: usize = 8192;
/// Most bytes of superseded and present values kept per resource.
pub(crate) const HISTORY_BYTES_MAX: usize = 16 << 20;

/// The latest changes of one resource, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    applied: VecDeque<Applied>,
    bytes: usize,
    /// Every change after this revision is kept.
    floor: Revision,
}

impl History {
    /// An empty history that knows of no change after `floor`.
    pub(crate) fn since(floor: Revision) -> Self {
        Self {
            applied: VecDeque::new(),
            bytes: 0,
            floor,
        }
    }

    /// Every change after this revision is kept.
    pub(crate) fn floor(&self) -> Revision {
        self.floor
    }

    /// Remembers a change, and forgets the oldest ones past the bounds.
    pub(crate) fn push(&mut self, applied: Applied) {
        self.bytes += weight(&applied);
        self.applied.push_back(applied);
        while self.applied.len() > HISTORY_EVENTS_MAX || self.bytes > HISTORY_BYTES_MAX {
            if !self.forget_oldest() {
                break;
            }
        }
    }

    /// Forgets every change up to and including `revision`. Where there was none, nobody missed anything: the floor stays.
    pub(crate) fn compact(&mut self, revision: Revision) {
        let is_old = |applied: &Applied| applied.event.entry.revision <= revision;
        while self.applied.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    /// Says that changes up to `revision` may be missing.
    pub(crate) fn raise(&mut self, revision: Revision) {
        self.compact(revision);
        self.floor = self.floor.max(revision);
    }

    /// The changes with `after < revision <= up_to`, oldest first.
    pub(crate) fn between(
        &self,
        after: Revision,
        up_to: Revision,
    ) -> impl DoubleEndedIterator<Item = &Applied> {
        let index = |revision| {
            self.applied
                .partition_point(|a| a.event.entry.revision <= revision)
        };
        let start = index(after);
        self.applied.range(start..index(up_to).max(start))
    }

    fn forget_oldest(&mut self) -> bool {
        let Some(applied) = self.applied.pop_front() else {
            return false;
        };
        self.bytes -= weight(&applied);
        self.floor = applied.event.entry.revision;
        true
    }
}

/// Bytes that keeping a change may hold back from being freed.
fn weight(applied: &Applied) -> usize {
    let event = &applied.event;
    event.entry.value.len()
        + event
            .previous
            .as_ref()
            .map_or(0, |previous| previous.value.len())
}
