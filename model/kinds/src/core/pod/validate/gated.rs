//! What may change while scheduling gates hold a pod back: where it may run may become narrower.

use meta::{FieldError, ObjectExt as _};
use serde_json::{Value, json};

use crate::check::{Errors, Node};
use crate::edit::Edit as _;

/// Checks what became of the node selector and node affinity, and sets them back in `kept`.
///
/// Source: `ValidatePodUpdate`, for gated pods.
pub(super) fn narrowed(spec: &Node<'_>, was: &Node<'_>, kept: &mut Value, errors: &mut Errors) {
    let restore = |into: &mut Value, field: &str, from: &Value| match from.get(field) {
        Some(value) => into.put(field, value.clone()),
        None => {
            into.drop_field(field);
        }
    };
    let selector = spec.child("nodeSelector");
    let is_kept = |(key, value): (&str, Node<'_>)| selector.value.get(key) == Some(value.value);
    if !was.entries("nodeSelector").into_iter().all(is_kept) {
        let why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
        errors.push(FieldError::invalid(
            &selector.path,
            selector.value.clone(),
            why,
        ));
    }
    restore(kept, "nodeSelector", was.value);
    let (new, old) = (spec.child("affinity"), was.child("affinity"));
    let nodes = (new.child("nodeAffinity"), old.child("nodeAffinity"));
    if nodes.0.value == nodes.1.value {
        return;
    }
    terms(&nodes.0, &nodes.1, errors);
    if !spec.has("affinity") {
        kept.put("affinity", json!({"nodeAffinity": nodes.1.value}));
    } else if !was.has("affinity") && !new.has("podAffinity") && !new.has("podAntiAffinity") {
        kept.drop_field("affinity");
    } else {
        restore(kept.child_mut("affinity"), "nodeAffinity", old.value);
    }
}

/// Terms that are required may each become stricter. Source: `validateNodeAffinityMutation`.
fn terms(new: &Node<'_>, old: &Node<'_>, errors: &mut Errors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    let (new, old) = (new.child(REQUIRED), old.child(REQUIRED));
    let (is, was) = (
        new.items("nodeSelectorTerms"),
        old.items("nodeSelectorTerms"),
    );
    if was.is_empty() {
        return;
    }
    if is.len() != was.len() {
        let why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        let list = new.child("nodeSelectorTerms");
        errors.push(FieldError::invalid(&list.path, list.value.clone(), why));
        return;
    }
    for (is, was) in is.iter().zip(&was) {
        if !only_adds(is.value, was.value) {
            let why = "only additions are allowed (no mutations or deletions)";
            errors.push(FieldError::invalid(&is.path, is.value.clone(), why));
        }
    }
}

fn only_adds(new: &Value, old: &Value) -> bool {
    const LISTS: [&str; 2] = ["matchExpressions", "matchFields"];
    let is_empty = |term: &Value| LISTS.iter().all(|list| term.list_at(&[list]).is_empty());
    if is_empty(old) {
        return is_empty(new);
    }
    LISTS
        .iter()
        .all(|list| new.list_at(&[list]).starts_with(old.list_at(&[list])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(new: &Value, old: &Value) -> (Vec<String>, Value) {
        let (mut errors, mut kept) = (Errors::new(), new.clone());
        narrowed(&Node::root(new), &Node::root(old), &mut kept, &mut errors);
        (errors.iter().map(ToString::to_string).collect(), kept)
    }

    #[test]
    fn a_selector_may_grow_but_not_lose_anything() {
        let old = json!({"nodeSelector": {"a": "b"}});
        let grown = json!({"nodeSelector": {"a": "b", "c": "d"}});
        assert_eq!(outcome(&grown, &old), (vec![], old.clone()));
        let (errors, kept) = outcome(&json!({}), &old);
        assert_eq!(errors.len(), 1);
        assert_eq!(kept, old);
    }

    #[test]
    fn pod_affinity_is_left_as_it_was_asked() {
        let required = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [1]}]}});
        let old = json!({"affinity": {"nodeAffinity": required, "podAffinity": {"x": 1}}});
        let new = json!({"affinity": {"nodeAffinity": required}});
        assert_eq!(outcome(&new, &old), (vec![], new.clone()));
    }
}
