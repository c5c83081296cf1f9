//! ServiceAccount.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 ServiceAccount`.
pub(crate) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn has_generation(&self) -> bool {
        false
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    print_with!(print::NAME_AND_AGE);
}
