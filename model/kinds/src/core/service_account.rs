//! ServiceAccount.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 ServiceAccount`.
pub(crate) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn has_generation(&self) -> bool {
        false
    }
    print_with!(print::NAME_AND_AGE);
}
