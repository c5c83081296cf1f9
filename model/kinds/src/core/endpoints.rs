//! Endpoints.

use crate::strategy::Strategy;

/// Rules of `v1 Endpoints`.
pub(crate) struct Endpoints;

impl Strategy for Endpoints {
    fn has_generation(&self) -> bool {
        false
    }
}
