//! ConfigMap.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 ConfigMap`.
pub(crate) struct ConfigMap;

impl Strategy for ConfigMap {
    fn has_generation(&self) -> bool {
        false
    }
    print_with!(print::core::CONFIG_MAP);
}
