//! Event.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 Event`.
pub(crate) struct Event;

impl Strategy for Event {
    fn has_generation(&self) -> bool {
        false
    }
    print_with!(print::core::EVENT);
}
