//! ServiceAccount.

use crate::strategy::Strategy;

/// Rules of `v1 ServiceAccount`.
pub(crate) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn has_generation(&self) -> bool {
        false
    }
}
