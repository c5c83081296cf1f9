//! What is kept of an object: the fields that verdicts and views depend on.
//!
//! A field that a rule of the engine begins to read has to be added here; the test over all samples
//! says so, by a verdict that differs.

use meta::ObjectExt;
use serde_json::{Value, json};

use crate::discover::{Role, is_built_in_group};

/// Of the metadata of pods and events.
const METADATA: [&str; 10] = [
    "annotations",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "labels",
    "name",
    "namespace",
    "ownerReferences",
    "uid",
];
const OWNER: [&str; 5] = ["apiVersion", "controller", "kind", "name", "uid"];
const POD_SPEC: [&str; 9] = [
    "containers",
    "hostNetwork",
    "initContainers",
    "nodeName",
    "readinessGates",
    "restartPolicy",
    "schedulerName",
    "schedulingGates",
    "tolerations",
];
const POD_STATUS: [&str; 7] = [
    "conditions",
    "containerStatuses",
    "initContainerStatuses",
    "message",
    "phase",
    "reason",
    "startTime",
];
const CONTAINER: [&str; 5] = [
    "image",
    "name",
    "readinessProbe",
    "restartPolicy",
    "startupProbe",
];
const PROBE: [&str; 3] = ["failureThreshold", "initialDelaySeconds", "periodSeconds"];
const CONTAINER_STATUS: [&str; 7] = [
    "image",
    "lastState",
    "name",
    "ready",
    "restartCount",
    "started",
    "state",
];
const ENDED: [&str; 6] = [
    "exitCode",
    "finishedAt",
    "message",
    "reason",
    "signal",
    "startedAt",
];
const CONDITION: [&str; 5] = ["lastTransitionTime", "message", "reason", "status", "type"];
const EVENT: [&str; 13] = [
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "eventTime",
    "firstTimestamp",
    "involvedObject",
    "lastTimestamp",
    "message",
    "metadata",
    "note",
    "reason",
    "regarding",
    "series",
    "type",
];
const REFERENCE: [&str; 4] = ["kind", "name", "namespace", "uid"];
/// Annotations that hold whole copies of the object.
const COPIES: [&str; 1] = ["kubectl.kubernetes.io/last-applied-configuration"];
/// The one annotation of pods that is read.
const CONFIG_HASH: [&str; 1] = ["kubernetes.io/config.hash"];

/// Drops what nothing reads; kind and version are those of the collection, and are added on the way
/// out.
pub(crate) fn lean(role: Role, mut object: Value) -> Value {
    compress_managed_fields(&mut object, role);
    match role {
        Role::Pod => pod(&mut object),
        Role::Node => node(&mut object),
        Role::Event => event(&mut object),
        Role::Workload => workload(&mut object),
    }
    object
}

fn pod(pod: &mut Value) {
    keep(pod, &["apiVersion", "kind", "metadata", "spec", "status"]);
    metadata(pod);
    keep_at(pod, "/metadata/annotations", &CONFIG_HASH);
    keep_at(pod, "/spec", &POD_SPEC);
    keep_at(pod, "/status", &POD_STATUS);
    for path in ["/spec/containers", "/spec/initContainers"] {
        each(pod, path, |container| {
            keep(container, &CONTAINER);
            keep_at(container, "/readinessProbe", &PROBE);
            keep_at(container, "/startupProbe", &PROBE);
        });
    }
    each(pod, "/status/conditions", |condition| {
        keep(condition, &CONDITION);
    });
    for path in ["/status/containerStatuses", "/status/initContainerStatuses"] {
        each(pod, path, |status| {
            keep(status, &CONTAINER_STATUS);
            keep_at(status, "/state/terminated", &ENDED);
            keep_at(status, "/lastState/terminated", &ENDED);
        });
    }
}

/// Heartbeats change all the time and do not matter.
fn node(node: &mut Value) {
    keep(node, &["apiVersion", "kind", "metadata", "spec", "status"]);
    metadata(node);
    drop_at(node, "/metadata", &["annotations", "labels"]);
    keep_at(node, "/spec", &["taints", "unschedulable"]);
    keep_at(node, "/status", &["conditions"]);
    if let Some(Value::Array(conditions)) = node.pointer_mut("/status/conditions") {
        conditions.retain(|condition| condition.str_at(&["type"]) == Some("Ready"));
        for condition in conditions {
            keep(condition, &CONDITION);
        }
    }
    each(node, "/spec/taints", |taint| {
        keep(taint, &["effect", "key", "value"]);
    });
}

fn event(event: &mut Value) {
    keep(event, &EVENT);
    metadata(event);
    drop_at(event, "/metadata", &["annotations", "labels"]);
    keep_at(event, "/involvedObject", &REFERENCE);
    keep_at(event, "/regarding", &REFERENCE);
    keep_at(event, "/series", &["lastObservedTime"]);
}

/// Of a built-in workload the pod template matters no more; of a custom one it matters that there is
/// one.
fn workload(object: &mut Value) {
    drop_at(object, "/metadata/annotations", &COPIES);
    let group = meta::id::split_api_version(object.api_version()).map_or("", |(group, _)| group);
    if is_built_in_group(group) {
        drop_at(object, "/spec", &["jobTemplate", "volumeClaimTemplates"]);
        drop_at(object, "/metadata", &["selfLink"]);
    }
    if let Some(template @ Value::Object(_)) = object.pointer_mut("/spec/template") {
        *template = json!({});
    }
}

fn metadata(object: &mut Value) {
    keep_at(object, "/metadata", &METADATA);
    each(object, "/metadata/ownerReferences", |owner| {
        keep(owner, &OWNER);
    });
}

fn keep(object: &mut Value, fields: &[&str]) {
    if let Some(map) = object.as_object_mut() {
        map.retain(|field, value| fields.contains(&field.as_str()) && !value.is_null());
    }
}

fn keep_at(object: &mut Value, pointer: &str, fields: &[&str]) {
    if let Some(inner) = object.pointer_mut(pointer) {
        keep(inner, fields);
    }
}

fn drop_at(object: &mut Value, pointer: &str, fields: &[&str]) {
    if let Some(map) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
        map.retain(|field, _| !fields.contains(&field.as_str()));
    }
}

fn each(object: &mut Value, pointer: &str, change: impl Fn(&mut Value)) {
    if let Some(Value::Array(items)) = object.pointer_mut(pointer) {
        items.iter_mut().for_each(change);
    }
}

/// Leaves of the managed fields what tells when the spec was written, and by which subresource.
fn compress_managed_fields(object: &mut Value, role: Role) {
    let entries = object.list_at(&["metadata", "managedFields"]);
    if entries.is_empty() {
        return;
    }
    let kept: Vec<Value> = entries
        .iter()
        .filter(|entry| role == Role::Workload && entry.at(&["fieldsV1", "f:spec"]).is_some())
        .map(|entry| {
            json!({
                "time": entry.str_at(&["time"]),
                "subresource": entry.str_at(&["subresource"]),
                "fieldsV1": {"f:spec": {}},
            })
        })
        .collect();
    object.set(&["metadata", "managedFields"], kept.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_rules_read_is_kept_of_a_pod() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "web", "resourceVersion": "7",
                "annotations": {"a": "b", "kubernetes.io/config.hash": "h"}, "managedFields": [{"time": "t"}]},
            "spec": {"nodeName": "n1", "volumes": [1], "containers": [{"name": "a", "env": [1]}]},
            "status": {"podIP": "10.1.2.3", "containerStatuses": [{"name": "a", "imageID": "x", "ready": true}]}});
        assert_eq!(
            lean(Role::Pod, pod),
            json!({"kind": "Pod", "metadata": {"name": "web", "annotations": {"kubernetes.io/config.hash": "h"}},
                "spec": {"nodeName": "n1", "containers": [{"name": "a"}]},
                "status": {"containerStatuses": [{"name": "a", "ready": true}]}})
        );
    }

    fn role(object: &Value) -> Role {
        match object.kind() {
            "Pod" => Role::Pod,
            "Node" => Role::Node,
            "Event" => Role::Event,
            _ => Role::Workload,
        }
    }

    fn opened(document: Value) -> Vec<Value> {
        match document.pointer("/items") {
            Some(Value::Array(items)) => items.clone(),
            _ => vec![document],
        }
    }

    fn kept(object: Value) -> Option<Value> {
        let role = role(&object);
        let is_kept = role != Role::Event || status::is_evidence(&object);
        is_kept.then(|| crate::pack::Packed::new(&lean(role, object)).unpack())
    }

    #[test]
    fn no_verdict_depends_on_what_is_dropped() {
        let data =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/status");
        let (mut compared, config) = (0, status::Config::spec());
        for folder in ["corpus", "scenarios"] {
            let index = std::fs::read_to_string(data.join(folder).join("index.tsv")).unwrap();
            let mut lines = index
                .lines()
                .map(|line| line.split('\t').collect::<Vec<_>>());
            let names = lines.next().unwrap();
            let column = |name: &str| names.iter().position(|each| *each == name).unwrap();
            let (file, now) = (column("file"), column("now"));
            for row in lines {
                let text = std::fs::read_to_string(data.join(folder).join(row[file])).unwrap();
                let options = serde_saphyr::options! {
                    duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
                };
                let documents: Vec<Value> =
                    serde_saphyr::from_multiple_with_options(&text, options).unwrap();
                let objects: Vec<Value> = documents.into_iter().flat_map(opened).collect();
                let judge = |objects: Vec<Value>| {
                    let bundle = status::Bundle::new(objects).unwrap();
                    let now = row[now].parse().unwrap();
                    status::evaluate(bundle.subject(), &bundle.related(), now, &config)
                };
                let lean = objects.iter().cloned().filter_map(kept).collect();
                let (whole, lean) = (judge(objects), judge(lean));
                let is_same_evidence = whole.evidence == lean.evidence;
                assert!(whole == lean || !is_same_evidence, "{}", row[file]);
                compared += 1;
            }
        }
        assert!(compared > 150, "{compared}");
    }

    #[test]
    fn anything_odd_is_left_as_it_is() {
        let odd = json!({"metadata": 7, "spec": [1], "status": {"conditions": {"a": 1}}});
        for role in [Role::Pod, Role::Node, Role::Workload] {
            assert_eq!(lean(role, odd.clone()), odd);
        }
        assert_eq!(lean(Role::Event, json!([1])), json!([1]));
    }
}
