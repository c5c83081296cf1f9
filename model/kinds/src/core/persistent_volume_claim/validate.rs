//! What is wrong with a PersistentVolumeClaim.

use meta::{FieldError, Object, ObjectExt as _, Path};
use serde_json::Value;

use crate::check::{Errors, IMMUTABLE, Node, quantity};
use crate::core::pod_spec::validate::claim_spec_errors;
use crate::edit::Edit as _;

const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const SPEC: &str = "io.k8s.api.core.v1.PersistentVolumeClaimSpec";
const CHANGED: &str = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

/// A claim as it stands.
pub(super) fn check(object: &Object) -> Errors {
    let mut errors = Errors::new();
    claim_spec_errors(&Node::root(object).child("spec"), &mut errors);
    errors
}

/// What of a claim stays. Source: `ValidatePersistentVolumeClaimUpdate`.
pub(super) fn change(new: &Object, old: &Object) -> Errors {
    let mut errors = check(new);
    let class = |claim: &Object| {
        let annotations = claim.at(&["metadata", "annotations"]);
        let class = annotations.and_then(|all| all.get(BETA_CLASS)).cloned();
        class.unwrap_or_else(|| "".into())
    };
    if class(new) != class(old) {
        let path = Path::new("metadata").child("annotations").child(BETA_CLASS);
        errors.push(FieldError::invalid(&path, class(new), IMMUTABLE));
    }
    let is_bound = new.str_at(&["status", "phase"]) == Some("Bound");
    let mut was = old.get("spec").cloned().unwrap_or_default();
    let mut spec = new.get("spec").cloned().unwrap_or_default();
    let keep = |into: &mut Value, field: &str, from: &Value| match from.get(field) {
        Some(value) => into.put(field, value.clone()),
        None => {
            into.drop_field(field);
        }
    };
    if was.lacks("volumeName") {
        keep(&mut was, "volumeName", &spec);
    }
    if was.get("storageClassName").is_none() && !is_bound {
        keep(&mut spec, "storageClassName", &was);
    }
    if is_bound {
        keep(&mut spec, "volumeAttributesClassName", &was);
        if let Some(size) = was.at(&["resources", "requests", "storage"]) {
            spec.child_mut("resources")
                .child_mut("requests")
                .put("storage", size.clone());
        }
    }
    if spec != was {
        let shown = crate::difference::of(SPEC, &was, &spec);
        let why = format!("{CHANGED}\n{shown}");
        errors.push(FieldError::forbidden(&Path::new("spec"), why));
    }
    let zero = Value::from("0");
    let size = |object: &Object, path: &[&str]| quantity(object.at(path).unwrap_or(&zero));
    let requested = ["spec", "resources", "requests", "storage"];
    let (is, had) = (size(new, &requested), size(old, &requested));
    let held = size(old, &["status", "capacity", "storage"]);
    let path = Path::new("spec")
        .child("resources")
        .child("requests")
        .child("storage");
    if is < had && is <= held {
        let why = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden(&path, why));
    }
    let mode = |object: &Object| {
        object
            .at(&["spec", "volumeMode"])
            .cloned()
            .unwrap_or_default()
    };
    if mode(new) != mode(old) {
        errors.push(FieldError::invalid(
            &Path::new("volumeMode"),
            mode(new),
            IMMUTABLE,
        ));
    }
    errors
}
