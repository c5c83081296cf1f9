//! RuntimeClass.

use std::collections::BTreeSet;

use meta::{FieldError, Object, names};

use crate::check::{Errors, Node};
use crate::core::pod_spec::validate::{overhead, tolerations};
use crate::core::pod_spec::warnings::node_label;

/// Source: `ValidateRuntimeClass`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    let handler = root.text("handler");
    if handler.is_empty() {
        root.needs("handler", errors);
    } else {
        root.complain("handler", names::dns1123_label(handler), errors);
    }
    if let Some(amounts) = root.get("overhead") {
        overhead(&amounts.child("podFixed"), &amounts.path, errors);
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

/// What clients are warned of. Source: `GetWarningsForRuntimeClass`.
pub(super) fn warnings(new: &Object, _old: Option<&Object>) -> Vec<String> {
    let selector = Node::root(new).child("scheduling").child("nodeSelector");
    let labels = selector.value.as_object().into_iter().flatten();
    let words = labels.filter_map(|(key, _)| node_label(key));
    words
        .map(|words| format!("{}: {words}", selector.path))
        .collect()
}

/// The handler of a class stays.
pub(super) fn change(new: &Object, old: &Object, errors: &mut Errors) {
    Node::root(new).immutable(&Node::root(old), "handler", errors);
}
