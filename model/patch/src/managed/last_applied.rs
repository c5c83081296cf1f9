//! The bridge from client-side apply: what kubectl noted in its annotation may be taken over without a conflict.

use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::atom::Node;
use super::collect::field_set;
use super::compare::compare;
use super::set::FieldSet;

/// The manager whose applies know the annotation. Source: apimachinery `lastAppliedManager`.
pub(super) const KUBECTL: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Most bytes that all annotations may take. Source: apimachinery `TotalAnnotationSizeLimitB`.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// The fields of the live object that are still as client-side apply left them; `None` without a usable annotation.
pub(super) fn untouched(live: &Object, api_version: &str, at: Node<'_>) -> Option<FieldSet> {
    let text = live.annotation(ANNOTATION)?;
    let last: Value = serde_json::from_str(text).ok()?;
    if !last.is_object() || last.api_version() != api_version {
        return None;
    }
    let changes = compare(&last, live, at);
    Some(
        field_set(&last, at)
            .difference(&changes.modified)
            .difference(&changes.added)
            .difference(&changes.removed),
    )
}

/// Brings the annotation up to what was applied, where there is one.
pub(super) fn note(object: &mut Object, config: &Object) {
    if object.annotation(ANNOTATION).is_none_or(str::is_empty) {
        return;
    }
    let mut noted = config.clone();
    noted.remove(&["metadata", "annotations", ANNOTATION]);
    let text = format!("{noted}\n");
    object.set(&["metadata", "annotations", ANNOTATION], json!(text));
    let annotations = object
        .at(&["metadata", "annotations"])
        .and_then(Value::as_object);
    let bytes: usize = annotations
        .into_iter()
        .flatten()
        .map(|(key, value)| key.len() + value.as_str().unwrap_or_default().len())
        .sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        object.remove(&["metadata", "annotations", ANNOTATION]);
    }
}
