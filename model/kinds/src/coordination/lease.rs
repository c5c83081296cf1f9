//! Lease.

use meta::{FieldError, Object};

use crate::check::{Errors, Node};

/// Source: `ValidateLeaseSpec`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    if let Some(seconds) = spec
        .int("leaseDurationSeconds")
        .filter(|seconds| *seconds <= 0)
    {
        let path = spec.at("leaseDurationSeconds");
        errors.push(FieldError::invalid(
            &path,
            seconds,
            "must be greater than 0",
        ));
    }
    spec.not_negative("leaseTransitions", errors);
    let has_strategy = !spec.text("strategy").is_empty();
    if has_strategy {
        spec.one_of("strategy", &["OldestEmulationVersion"], errors);
    } else if !spec.text("preferredHolder").is_empty() {
        let why = "may only be specified if `strategy` is defined";
        errors.push(FieldError::forbidden(&spec.at("preferredHolder"), why));
    }
}
