//! Pod.

mod validate;

use meta::{FieldError, Object, ObjectExt as _, Path};
use serde_json::{Value, json};

use super::pod_spec;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Deletion, Strategy};

/// Rules of `v1 Pod`.
pub(crate) struct Pod;

impl Strategy for Pod {
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        match subresource {
            None => vec![Path::new("status")],
            // Upstream filters what these may own, which keeps an update from nothing.
            Some("ephemeralcontainers" | "resize") => Vec::new(),
            Some(_) => [
                "spec",
                "metadata.deletionTimestamp",
                "metadata.ownerReferences",
            ]
            .map(Path::new)
            .into(),
        }
    }
    fn default(&self, new: &mut Object) {
        pod_spec::default_pod(new);
        let seconds = new.int_at(&["spec", "terminationGracePeriodSeconds"]);
        if seconds.is_some_and(|seconds| seconds < 0) {
            // Source: conversion of `Pod`.
            new.child_mut("spec")
                .put("terminationGracePeriodSeconds", 1);
        }
        if let Some(status) = new.get_mut("status") {
            addresses(status);
        }
    }
    fn prepare_create(&self, new: &mut Object, cx: &Context<'_>) {
        // What an export says is kept. Source: `GetPodQOS`.
        let said = new
            .str_at(&["status", "qosClass"])
            .filter(|class| !class.is_empty());
        let class = said.or_else(|| new.get("spec").map(pod_spec::qos_class));
        let class = class.unwrap_or("BestEffort").to_owned();
        let mut status = json!({"phase": "Pending", "qosClass": class});
        if !new.list_at(&["spec", "schedulingGates"]).is_empty() {
            status.put(
                "conditions",
                json!([{
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": null,
                    "lastTransitionTime": meta::time::to_rfc3339(cx.now),
                }]),
            );
        }
        new.put("status", status);
        pod_spec::validate::confine(new);
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, cx: &Context<'_>) {
        match cx.subresource {
            Some("status") => keep_at_status_update(new, old),
            Some("ephemeralcontainers") => {
                let wanted = new.at(&["spec", "ephemeralContainers"]).cloned();
                keep_spec_and_status(new, old);
                let spec = new.child_mut("spec");
                match wanted {
                    Some(wanted) => spec.put("ephemeralContainers", wanted),
                    None => {
                        spec.drop_field("ephemeralContainers");
                    }
                }
            }
            Some("resize") => resize(new, old),
            _ => {}
        }
    }
    fn deletion(&self, object: &Object, grace_seconds: Option<i64>) -> Deletion {
        let asked =
            grace_seconds.or_else(|| object.int_at(&["spec", "terminationGracePeriodSeconds"]));
        let phase = object.str_at(&["status", "phase"]);
        let is_over = matches!(phase, Some("Failed" | "Succeeded"));
        let is_bound = object
            .str_at(&["spec", "nodeName"])
            .is_some_and(|node| !node.is_empty());
        match asked.unwrap_or_default() {
            _ if is_over || !is_bound => Deletion::Graceful { seconds: 0 },
            seconds if seconds < 0 => Deletion::Graceful { seconds: 1 },
            seconds => Deletion::Graceful { seconds },
        }
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ]
    }
    fn selected_fields(&self) -> &'static [&'static str] {
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIPs.ip",
            "status.nominatedNodeName",
        ]
    }
    fn selectable_value(&self, object: &Object, field: &str) -> String {
        match field {
            "spec.hostNetwork" => object
                .bool_at(&["spec", "hostNetwork"])
                .unwrap_or_default()
                .to_string(),
            "status.podIP" | "status.podIPs" => {
                let first = object.list_at(&["status", "podIPs"]).first();
                first
                    .and_then(|ip| ip.str_at(&["ip"]))
                    .unwrap_or_default()
                    .to_owned()
            }
            _ => crate::kind::value_at(object, field),
        }
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::create(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        match cx.subresource {
            Some(name) => validate::subresource(new, old, name),
            None => validate::update(new, old),
        }
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        warnings::pod(new, old)
    }
    print_with!(print::pod::POD);
}

/// The first address stands in two fields, which follow each other. Source: conversion of `PodStatus`.
fn addresses(status: &mut Value) {
    let first = status
        .list_at(&["podIPs"])
        .first()
        .and_then(|ip| ip.str_at(&["ip"]))
        .map(str::to_owned);
    let one = status.str_at(&["podIP"]).unwrap_or_default().to_owned();
    match first {
        _ if one.is_empty() => {
            if let Some(first) = first {
                status.put("podIP", first);
            }
        }
        Some(first) if first == one => {}
        _ => status.put("podIPs", json!([{"ip": one}])),
    }
}

fn keep_spec_and_status(new: &mut Object, old: &Object) {
    // Source: `metav1.ResetObjectMetaForStatus`.
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        match old.at(&["metadata", field]) {
            Some(value) => new.metadata_mut().insert(field.into(), value.clone()),
            None => new.metadata_mut().remove(field),
        };
    }
    for field in ["spec", "status"] {
        if let Some(value) = old.get(field) {
            new.put(field, value.clone());
        }
    }
}

fn keep_at_status_update(new: &mut Object, old: &Object) {
    if let Some(class) = old.at(&["status", "qosClass"]).cloned() {
        new.child_mut("status").default_to("qosClass", class);
    }
    let generation = old
        .int_at(&["status", "observedGeneration"])
        .unwrap_or_default();
    if generation != 0 {
        new.child_mut("status")
            .default_number("observedGeneration", generation);
    }
    let known = old.list_at(&["status", "conditions"]);
    for condition in new.child_mut("status").items_mut("conditions") {
        let same = known
            .iter()
            .find(|old| old.get("type") == condition.get("type"));
        let generation = same
            .and_then(|old| old.int_at(&["observedGeneration"]))
            .unwrap_or_default();
        if generation != 0 {
            condition.default_number("observedGeneration", generation);
        }
    }
}

/// A resize changes the resources of known containers and nothing else.
fn resize(new: &mut Object, old: &Object) {
    let count = |pod: &Object, list: &str| pod.list_at(&["spec", list]).len();
    if ["containers", "initContainers"]
        .iter()
        .any(|list| count(new, list) != count(old, list))
    {
        return;
    }
    let wanted = new.get("spec").cloned().unwrap_or_default();
    keep_spec_and_status(new, old);
    let spec = new.child_mut("spec");
    take(spec, &wanted, "resources");
    for list in ["containers", "initContainers"] {
        let names = |spec: &Value| -> Vec<Option<Value>> {
            let containers = spec.list_at(&[list]).iter();
            containers.map(|one| one.get("name").cloned()).collect()
        };
        if names(spec) != names(&wanted) {
            // Validation refuses this.
            take(spec, &wanted, list);
            continue;
        }
        for (container, wanted) in spec.items_mut(list).zip(wanted.list_at(&[list])) {
            take(container, wanted, "resources");
            take(container, wanted, "resizePolicy");
        }
    }
}

fn take(into: &mut Value, from: &Value, field: &str) {
    match from.get(field).cloned() {
        Some(value) => into.put(field, value),
        None => {
            into.drop_field(field);
        }
    }
}
