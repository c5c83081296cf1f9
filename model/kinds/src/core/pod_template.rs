//! PodTemplate.

use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 PodTemplate`.
pub(crate) struct PodTemplate;

impl Strategy for PodTemplate {
    print_with!(print::apps::POD_TEMPLATE);
}
