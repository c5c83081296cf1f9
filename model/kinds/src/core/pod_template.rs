//! PodTemplate.

use meta::{FieldError, Object};

use super::pod_spec::validate::template;
use crate::check::Node;
use crate::core::pod_spec::warnings;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `v1 PodTemplate`.
pub(crate) struct PodTemplate;

impl Strategy for PodTemplate {
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        template(&Node::root(new).child("template"), &mut errors);
        errors
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        warnings::workload(new, old, &["template"])
    }
    print_with!(print::apps::POD_TEMPLATE);
}
