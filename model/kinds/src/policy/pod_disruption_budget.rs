//! PodDisruptionBudget.

use meta::{FieldError, Object};

use crate::check::{Errors, Node, at_most_all, int_or_percent, label_selector};

/// Source: `ValidatePodDisruptionBudgetSpec`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    if spec.has("minAvailable") && spec.has("maxUnavailable") {
        let why = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid(&spec.path, spec.value.clone(), why));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        if spec.has(field) {
            int_or_percent(&spec, field, errors);
            at_most_all(&spec, field, errors);
        }
    }
    label_selector(&spec.child("selector"), errors);
    if spec.has("unhealthyPodEvictionPolicy") {
        let valid = ["AlwaysAllow", "IfHealthyBudget"];
        spec.one_of("unhealthyPodEvictionPolicy", &valid, errors);
    }
}
