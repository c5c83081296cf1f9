//! PodTemplate.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 PodTemplate`.
pub(crate) struct PodTemplate;

impl Strategy for PodTemplate {
    fn returns_deleted_object(&self) -> bool {
        true
    }
    print_with!(print::apps::POD_TEMPLATE);
}
