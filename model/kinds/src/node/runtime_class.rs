//! RuntimeClass.

use std::collections::BTreeSet;

use meta::{FieldError, Object, names};

use crate::check::{Errors, Node};
use crate::core::pod_spec::validate::{container_resource, tolerations};

/// Source: `ValidateRuntimeClass`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    let handler = root.text("handler");
    if handler.is_empty() {
        root.needs("handler", errors);
    } else {
        root.complain("handler", names::dns1123_label(handler), errors);
    }
    if let Some(overhead) = root.get("overhead") {
        let limits = meta::Path::new("overhead").child("limits");
        for (name, amount) in overhead.entries("podFixed") {
            let amount = Node {
                value: amount.value,
                path: limits.key(name),
            };
            container_resource(name, &amount, errors);
        }
    }
    if let Some(scheduling) = root.get("scheduling") {
        errors.extend(crate::metadata::labels(
            scheduling.value.get("nodeSelector"),
            &scheduling.at("nodeSelector"),
        ));
        tolerations(&scheduling, errors);
        let mut known = BTreeSet::new();
        for toleration in scheduling.items("tolerations") {
            let key = ["key", "operator", "value", "effect"].map(|field| toleration.text(field));
            if !known.insert(key) {
                let value = toleration.value.clone();
                errors.push(FieldError::duplicate(&toleration.path, value));
            }
        }
    }
}

/// The handler of a class stays.
pub(super) fn change(new: &Object, old: &Object, errors: &mut Errors) {
    Node::root(new).immutable(&Node::root(old), "handler", errors);
}
