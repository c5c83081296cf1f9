//! ResourceQuota.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 ResourceQuota`.
pub(crate) struct ResourceQuota;

impl Strategy for ResourceQuota {
    fn has_generation(&self) -> bool {
        false
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    print_with!(print::core::RESOURCE_QUOTA);
}
