//! What is kept of an object: the fields that verdicts and views depend on.
//!
//! They are picked while an object is read, so that what is left out costs nothing. A field that a rule
//! of the engine begins to read has to be added here; the test over all samples says so, by a verdict
//! that differs.

mod pick;

use meta::ObjectExt;
use serde_json::Value;

use crate::discover::Role;
use pick::Want::{self, All, Each, Fields, Presence, Rest};

const OWNERS: Want = Each(&Fields(&[
    ("apiVersion", All),
    ("controller", All),
    ("kind", All),
    ("name", All),
    ("uid", All),
]));
const CONDITIONS: Want = Each(&Fields(&[
    ("lastTransitionTime", All),
    ("message", All),
    ("reason", All),
    ("status", All),
    ("type", All),
]));
const PROBE: Want = Fields(&[
    ("failureThreshold", All),
    ("initialDelaySeconds", All),
    ("periodSeconds", All),
]);
const CONTAINERS: Want = Each(&Fields(&[
    ("image", All),
    ("name", All),
    ("readinessProbe", PROBE),
    ("restartPolicy", All),
    ("startupProbe", PROBE),
]));
const STATE: Want = Rest(&[(
    "terminated",
    Fields(&[
        ("exitCode", All),
        ("finishedAt", All),
        ("message", All),
        ("reason", All),
        ("signal", All),
        ("startedAt", All),
    ]),
)]);
const CONTAINER_STATUSES: Want = Each(&Fields(&[
    ("image", All),
    ("lastState", STATE),
    ("name", All),
    ("ready", All),
    ("restartCount", All),
    ("started", All),
    ("state", STATE),
]));
const POD: Want = Fields(&[
    ("apiVersion", All),
    ("kind", All),
    (
        "metadata",
        Fields(&[
            // The only annotation of pods that is read.
            ("annotations", Fields(&[("kubernetes.io/config.hash", All)])),
            ("creationTimestamp", All),
            ("deletionTimestamp", All),
            ("finalizers", All),
            ("generation", All),
            ("labels", All),
            ("name", All),
            ("namespace", All),
            ("ownerReferences", OWNERS),
            ("uid", All),
        ]),
    ),
    (
        "spec",
        Fields(&[
            ("containers", CONTAINERS),
            ("hostNetwork", All),
            ("initContainers", CONTAINERS),
            ("nodeName", All),
            ("readinessGates", All),
            ("restartPolicy", All),
            ("schedulerName", All),
            ("schedulingGates", All),
            ("tolerations", All),
        ]),
    ),
    (
        "status",
        Fields(&[
            ("conditions", CONDITIONS),
            ("containerStatuses", CONTAINER_STATUSES),
            ("initContainerStatuses", CONTAINER_STATUSES),
            ("message", All),
            ("phase", All),
            ("reason", All),
            ("startTime", All),
        ]),
    ),
]);
/// Heartbeats change all the time and do not matter.
const NODE: Want = Fields(&[
    ("apiVersion", All),
    ("kind", All),
    ("metadata", Fields(&[("name", All), ("uid", All)])),
    ("spec", Fields(&[("taints", All), ("unschedulable", All)])),
    ("status", Fields(&[("conditions", CONDITIONS)])),
]);
const REFERENCE: Want = Fields(&[
    ("kind", All),
    ("name", All),
    ("namespace", All),
    ("uid", All),
]);
const EVENT: Want = Fields(&[
    ("apiVersion", All),
    ("kind", All),
    ("deprecatedFirstTimestamp", All),
    ("deprecatedLastTimestamp", All),
    ("eventTime", All),
    ("firstTimestamp", All),
    ("involvedObject", REFERENCE),
    ("lastTimestamp", All),
    ("message", All),
    (
        "metadata",
        Fields(&[
            ("creationTimestamp", All),
            ("name", All),
            ("namespace", All),
        ]),
    ),
    ("note", All),
    ("reason", All),
    ("regarding", REFERENCE),
    ("series", Fields(&[("lastObservedTime", All)])),
    ("type", All),
]);
/// Of managed fields it matters when the spec was written, and by which subresource. Of a pod template it
/// matters that there is one.
const WORKLOAD: Want = Rest(&[
    (
        "metadata",
        Rest(&[
            (
                "annotations",
                Rest(&[(
                    "kubectl.kubernetes.io/last-applied-configuration",
                    Fields(&[]),
                )]),
            ),
            (
                "managedFields",
                Each(&Fields(&[
                    ("fieldsV1", Fields(&[("f:spec", Presence)])),
                    ("subresource", All),
                    ("time", All),
                ])),
            ),
            ("resourceVersion", Presence),
        ]),
    ),
    (
        "spec",
        Rest(&[
            ("jobTemplate", Presence),
            ("template", Presence),
            ("volumeClaimTemplates", Presence),
        ]),
    ),
]);

fn want(role: Role) -> &'static Want {
    match role {
        Role::Pod => &POD,
        Role::Node => &NODE,
        Role::Event => &EVENT,
        Role::Workload => &WORKLOAD,
    }
}

/// Picks what is read of an object.
pub(crate) fn lean(role: Role, object: Value) -> Value {
    settled(role, want(role).of_value(object))
}

/// Reads an object's bytes, and picks what is read of it.
///
/// # Errors
/// The bytes are no JSON.
pub(crate) fn lean_bytes(role: Role, object: &[u8]) -> Result<Value, serde_json::Error> {
    Ok(settled(role, want(role).of_bytes(object)?))
}

/// What only the scheduler's refusal depends on goes once a pod has its node.
fn settled(role: Role, mut object: Value) -> Value {
    let has_node = object.str_at(&["spec", "nodeName"]);
    if role == Role::Pod && has_node.is_some_and(|node| !node.is_empty()) {
        object.remove(&["spec", "tolerations"]);
        object.remove(&["spec", "schedulerName"]);
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let odd =
            json!({"metadata": 7, "spec": [1], "status": {"conditions": {"a": 1}}, "kind": {}});
        for role in [Role::Pod, Role::Node, Role::Workload] {
            assert_eq!(lean(role, odd.clone()), odd);
            assert_eq!(lean_bytes(role, odd.to_string().as_bytes()).unwrap(), odd);
        }
        for odd in [
            json!([1]),
            json!("x"),
            json!(1.5),
            json!(null),
            json!(u64::MAX),
        ] {
            assert_eq!(lean(Role::Event, odd.clone()), odd);
        }
        assert!(lean_bytes(Role::Pod, b"{\"kind\"").is_err());
    }
}
