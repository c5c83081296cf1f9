//! ReplicaSet.

use meta::{FieldError, Object};

use super::validate;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Scale, Strategy};

/// Rules of `apps/v1 ReplicaSet`.
pub(crate) struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn default(&self, new: &mut Object) {
        new.child_mut("spec").default_to("replicas", 1);
    }
    fn scale(&self) -> Option<Scale> {
        Some(Scale::standard())
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::replica_set(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = self.validate(new, cx);
        validate::same_selector(new, old, &mut errors);
        errors
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        warnings::named_workload(new, old, &["spec", "template"])
    }
    print_with!(print::apps::REPLICA_SET);
}
