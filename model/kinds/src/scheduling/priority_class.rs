//! PriorityClass.

use meta::Object;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `scheduling.k8s.io/v1 PriorityClass`.
pub(crate) struct PriorityClass;

impl Strategy for PriorityClass {
    fn default(&self, new: &mut Object) {
        new.default_to("preemptionPolicy", "PreemptLowerPriority");
    }
    print_with!(print::core::PRIORITY_CLASS);
}
