//! The evaluation time, and the record of every grace period that has not run out yet.
//!
//! Each decision that depends on time asks [`Clock::past`]. An answer "not yet" notes the moment at
//! which it will become "yes"; the earliest such moment is the verdict's `recheckAt`. Because no
//! answer ever turns back, nothing can change before it.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};

/// One evaluation's view of time.
pub(crate) struct Clock {
    now: Timestamp,
    wake: Cell<Option<Timestamp>>,
}

impl Clock {
    /// A clock that stands at `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            wake: Cell::new(None),
        }
    }

    /// Whether `seconds` have passed since `from`. Exactly that many count as passed.
    pub(crate) fn past(&self, from: Timestamp, seconds: i64) -> bool {
        let Ok(end) = from.checked_add(SignedDuration::from_secs(seconds)) else {
            return seconds < 0;
        };
        if self.now >= end {
            return true;
        }
        let earliest = self.wake.get().map_or(end, |wake| wake.min(end));
        self.wake.set(Some(earliest));
        false
    }

    /// Whether a known time lies `seconds` back; an unknown time does not (rule G5).
    pub(crate) fn known_past(&self, from: Option<Timestamp>, seconds: i64) -> bool {
        from.is_some_and(|from| self.past(from, seconds))
    }

    /// The earliest moment at which an answer given so far changes.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        self.wake.get()
    }
}
