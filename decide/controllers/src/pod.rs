//! What the controllers ask of pods, and how a template becomes one.

use jiff::{SignedDuration, Timestamp};
use meta::{Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::controller_reference;
use crate::condition;

/// `status.phase`, or empty.
pub fn phase(pod: &Object) -> &str {
    pod.str_at(&["status", "phase"]).unwrap_or_default()
}

/// Whether it has ended for good.
pub fn is_terminal(pod: &Object) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether it counts for its controller: it has not ended, and nobody asked it to.
pub fn is_active(pod: &Object) -> bool {
    !is_terminal(pod) && pod.deletion_timestamp().is_none()
}

/// Whether it is going away and has not ended yet.
pub fn is_terminating(pod: &Object) -> bool {
    !is_terminal(pod) && pod.deletion_timestamp().is_some()
}

/// `spec.nodeName`, or empty.
pub fn node_name(pod: &Object) -> &str {
    pod.str_at(&["spec", "nodeName"]).unwrap_or_default()
}

/// The `Ready` condition.
pub fn ready_condition(pod: &Object) -> Option<&Value> {
    condition::find(pod.get("status")?, "Ready")
}

/// Whether the `Ready` condition is true.
pub fn is_ready(pod: &Object) -> bool {
    ready_condition(pod).and_then(|ready| ready.str_at(&["status"])) == Some("True")
}

/// Since when it is ready; `None` when it is not.
pub fn ready_since(pod: &Object) -> Option<Timestamp> {
    let ready = ready_condition(pod).filter(|ready| ready.str_at(&["status"]) == Some("True"))?;
    meta::time::from_rfc3339(ready.str_at(&["lastTransitionTime"])?)
}

/// When it was made.
pub fn created_at(object: &Object) -> Option<Timestamp> {
    meta::time::from_rfc3339(object.str_at(&["metadata", "creationTimestamp"])?)
}

/// When it becomes available: ready for `min_ready_seconds`. `None` while it is not ready.
pub fn available_at(pod: &Object, min_ready_seconds: i64) -> Option<Timestamp> {
    if !is_ready(pod) {
        return None;
    }
    if min_ready_seconds <= 0 {
        return Some(ready_since(pod).unwrap_or(Timestamp::UNIX_EPOCH));
    }
    ready_since(pod)?
        .saturating_add(SignedDuration::from_secs(min_ready_seconds))
        .ok()
}

/// Whether it has been ready for long enough.
pub fn is_available(pod: &Object, min_ready_seconds: i64, now: Timestamp) -> bool {
    match available_at(pod, min_ready_seconds) {
        Some(_) if min_ready_seconds <= 0 => true,
        Some(at) => at <= now,
        None => false,
    }
}

/// The most restarts of any of its containers.
pub fn restarts_max(pod: &Object) -> i64 {
    let restarts = |field| {
        pod.list_at(&["status", field])
            .iter()
            .filter_map(|container| container.int_at(&["restartCount"]))
            .max()
            .unwrap_or_default()
    };
    restarts("containerStatuses").max(restarts("initContainerStatuses"))
}

/// A pod from a template, owned by `owner`. Source: `controller_utils.go`, `GetPodFromTemplate`.
pub fn from_template(resource: &Resource, owner: &Object, template: &Value) -> Object {
    let mut metadata = json!({
        "generateName": generate_name(owner.name()),
        "namespace": owner.namespace(),
        "ownerReferences": [controller_reference(resource, owner)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.at(&["metadata", field]) {
            metadata.set(&[field], value.clone());
        }
    }
    let spec = template.get("spec").cloned().unwrap_or_else(|| json!({}));
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
}

/// The prefix of generated pod names; empty when the owner's name leaves no room for one.
fn generate_name(owner: &str) -> String {
    let prefix = format!("{owner}-");
    if prefix.len() <= meta::names::DNS1123_SUBDOMAIN_BYTES_MAX {
        prefix
    } else {
        owner.to_owned()
    }
}
