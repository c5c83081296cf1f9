//! Endpoints.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 Endpoints`.
pub(crate) struct Endpoints;

impl Strategy for Endpoints {
    fn has_generation(&self) -> bool {
        false
    }
    print_with!(print::core::ENDPOINTS);
}
