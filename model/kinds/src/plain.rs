//! The strategy of kinds that have no rules of their own yet.

use crate::strategy::Strategy;

/// No rules, no generation.
pub(crate) struct Plain;

impl Strategy for Plain {
    fn has_generation(&self) -> bool {
        false
    }
}

/// No rules, but `metadata.generation` is kept.
pub(crate) struct Counted;

impl Strategy for Counted {}
