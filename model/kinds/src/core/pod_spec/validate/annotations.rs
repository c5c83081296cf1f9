//! Annotations of pods that mean something to the system. Source: `ValidatePodSpecificAnnotations`.

use std::collections::BTreeSet;

use meta::{FieldError, ObjectExt as _, Path};
use serde_json::Value;

use super::confinement::{self, APP_ARMOR};
use crate::check::{Errors, Node};

/// Marks pods that a node runs from files. Source: `core.MirrorPodAnnotationKey`.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";
/// Which pod of a set goes first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The annotations of a pod, or of its template, beside its spec.
pub(crate) fn specific(holder: &Value, spec: &Node<'_>, path: &Path, errors: &mut Errors) {
    if let Some(value) = holder.annotation(MIRROR)
        && spec.text("nodeName").is_empty()
    {
        let why = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(FieldError::invalid(&path.key(MIRROR), value, why));
    }
    if let Some(cost) = holder
        .annotation(DELETION_COST)
        .filter(|cost| !is_cost(cost))
    {
        let path = path.key(DELETION_COST);
        errors.push(FieldError::invalid(&path, cost, "must be a 32bit integer"));
    }
    confinement::annotations(holder, spec, path, errors);
}

/// Source: `GetDeletionCostFromPodAnnotations`: neither a plus sign nor zeros in front.
fn is_cost(text: &str) -> bool {
    let is_plain = text == "0" || text.starts_with(|first| matches!(first, '-' | '1'..='9'));
    is_plain && text.parse::<i32>().is_ok()
}

/// The annotations of a changed pod. Source: `ValidatePodSpecificAnnotationUpdates`.
pub(crate) fn changed(new: &Value, old: &Value, errors: &mut Errors) {
    let path = Path::new("metadata").child("annotations");
    let keys = |pod: &Value| -> BTreeSet<String> {
        let annotations = pod.at(&["metadata", "annotations"]);
        let annotations = annotations.and_then(Value::as_object);
        annotations
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    let mut refuse = |key: &str, verb: &str| {
        let what = match key {
            MIRROR => "mirror pod annotation",
            _ if key.starts_with(APP_ARMOR) => "AppArmor annotations",
            _ => return,
        };
        let why = format!("may not {verb} {what}");
        errors.push(FieldError::forbidden(&path.key(key), &why));
    };
    let (had, has) = (keys(old), keys(new));
    for key in had
        .iter()
        .filter(|key| old.annotation(key) != new.annotation(key))
    {
        refuse(key, "remove or update");
    }
    for key in has.difference(&had) {
        refuse(key, "add");
    }
    specific(new, &Node::root(new).child("spec"), &path, errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(annotations: &Value, node: &str) -> Value {
        json!({"metadata": {"annotations": annotations}, "spec": {"nodeName": node}})
    }

    #[test]
    fn what_mirrors_a_pod_is_said_at_its_start_and_stays() {
        let told = |new: &Value, old: &Value| -> Vec<String> {
            let mut errors = Errors::new();
            changed(new, old, &mut errors);
            errors.iter().map(ToString::to_string).collect()
        };
        let (plain, mirror) = (pod(&json!({}), "n"), pod(&json!({MIRROR: "x"}), "n"));
        let path = "metadata.annotations[kubernetes.io/config.mirror]";
        let (added, removed) = (told(&mirror, &plain), told(&plain, &mirror));
        assert_eq!(
            added,
            [format!(
                "{path}: Forbidden: may not add mirror pod annotation"
            )]
        );
        let why = "may not remove or update mirror pod annotation";
        assert_eq!(removed, [format!("{path}: Forbidden: {why}")]);
        assert!(told(&mirror, &mirror).is_empty());
        let mut confined = pod(&json!({format!("{APP_ARMOR}c"): "unconfined"}), "n");
        confined["spec"]["containers"] = json!([{"name": "c"}]);
        assert_eq!(told(&confined, &plain).len(), 1);
        let nowhere = pod(&json!({MIRROR: "x"}), "");
        assert_eq!(told(&nowhere, &nowhere).len(), 1);
    }

    #[test]
    fn a_cost_is_a_plain_number() {
        for good in ["0", "-5", "7", "2147483647"] {
            assert!(is_cost(good), "{good}");
        }
        for bad in ["", "+1", "01", "x", "2147483648", "--1"] {
            assert!(!is_cost(bad), "{bad}");
        }
    }
}
