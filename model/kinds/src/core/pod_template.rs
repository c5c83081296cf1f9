//! PodTemplate.

use meta::{FieldError, Object};

use super::pod_spec::validate::template;
use crate::check::Node;
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
    print_with!(print::apps::POD_TEMPLATE);
}
