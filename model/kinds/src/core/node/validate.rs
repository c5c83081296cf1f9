//! What is wrong with a Node. Source: `ValidateNode`, `ValidateNodeUpdate`.

use std::collections::BTreeSet;

use meta::{FieldError, Object, Path, names};

use crate::check::{Errors, NEGATIVE, Node, quantity};
use crate::core::cidr;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn both(object: &Object, errors: &mut Errors) {
    let status = Node::root(object).child("status");
    for list in ["capacity", "allocatable"] {
        for (_, value) in status.entries(list) {
            let amount = quantity(value.value);
            if amount.is_negative() {
                errors.push(FieldError::invalid(
                    &value.path,
                    amount.to_string(),
                    NEGATIVE,
                ));
            }
        }
    }
}

fn taints(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    // Upstream reports taints below the metadata.
    let list = Path::new("metadata").child("taints");
    let mut known = BTreeSet::new();
    for (index, taint) in spec.items("taints").iter().enumerate() {
        let taint = Node {
            value: taint.value,
            path: list.index(index),
        };
        taint.complain("key", names::qualified_name(taint.text("key")), errors);
        let complaints = names::label_value(taint.text("value"));
        if !complaints.is_empty() {
            errors.push(FieldError::invalid(
                &taint.at("value"),
                taint.text("value"),
                complaints.join(";"),
            ));
        }
        taint.needs_one_of("effect", &EFFECTS, errors);
        if !known.insert((taint.text("effect"), taint.text("key"))) {
            let mut error = FieldError::duplicate(&taint.path, taint.value.clone());
            error.detail = "taints must be unique by key and effect pair".into();
            error.shown = crate::schema::builtin("io.k8s.api.core.v1.Taint").and_then(|schema| {
                crate::schema::internal::print(&schema.graph, &schema.ty, taint.value)
            });
            errors.push(error);
        }
    }
}

/// A new node.
pub(super) fn create(object: &Object) -> Errors {
    let mut errors = Errors::new();
    taints(object, &mut errors);
    both(object, &mut errors);
    let spec = Node::root(object).child("spec");
    let blocks = spec.texts("podCIDRs");
    let path = spec.at("podCIDRs");
    for (index, block) in blocks.iter().enumerate() {
        errors.extend(crate::metadata::invalid(
            &path.index(index),
            block,
            cidr(block),
        ));
    }
    let families: BTreeSet<bool> = blocks.iter().map(|block| block.contains(':')).collect();
    if blocks.len() > 2 || (blocks.len() == 2 && families.len() < 2) {
        let why = "may specify no more than one CIDR for each IP family";
        errors.push(FieldError::invalid(
            &path,
            spec.child("podCIDRs").value.clone(),
            why,
        ));
    }
    errors
}

/// A changed node.
pub(super) fn update(new: &Object, old: &Object) -> Errors {
    // Upstream's strategy looks at the whole node as well.
    let mut errors = create(new);
    both(new, &mut errors);
    let mut known = BTreeSet::new();
    for address in Node::root(new).child("status").items("addresses") {
        if !known.insert((address.text("type"), address.text("address"))) {
            errors.push(FieldError::duplicate(&address.path, address.value.clone()));
        }
    }
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    if was.has_items("podCIDRs") && spec.texts("podCIDRs") != was.texts("podCIDRs") {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden(&spec.at("podCIDRs"), why));
    }
    if !was.text("providerID").is_empty() && spec.text("providerID") != was.text("providerID") {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden(&spec.at("providerID"), why));
    }
    taints(new, &mut errors);
    if spec.text("externalID") != was.text("externalID") {
        errors.push(FieldError::forbidden(
            &spec.at("externalID"),
            "may not be updated",
        ));
    }
    errors
}
