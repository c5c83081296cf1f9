//! Rules that the recordings do not reach, each as a small manifest and what a stock server says to it.

use meta::{Gvk, ObjectExt as _};
use serde_json::{Value, json};

use super::harness::created;

const POD: &str = r#"{"containers":[{"name":"a","image":"x"}]}"#;

/// A manifest of a kind with the name `x`.
pub(super) fn manifest(api_version: &str, kind: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}});
    let Value::Object(fields) = rest else {
        panic!("the rest of a manifest is a map");
    };
    for (field, value) in fields {
        object.set(&[&field], value);
    }
    object
}

/// What is said to a manifest, without the subject; empty when it is taken.
pub(super) fn said(manifest: &Value) -> String {
    let registry = crate::builtin();
    let gvk: Gvk = manifest.gvk().unwrap();
    match created(registry.kind(&gvk).unwrap(), manifest.clone()) {
        Ok(_) => String::new(),
        Err(error) => {
            let text = error.to_string();
            text.split_once(" is invalid: ")
                .map_or_else(|| text.clone(), |(_, rest)| rest.to_owned())
        }
    }
}

#[track_caller]
pub(super) fn refused(api_version: &str, kind: &str, rest: Value, expected: &str) {
    assert_eq!(said(&manifest(api_version, kind, rest)), expected);
}

/// A job of that spec, with a template.
pub(super) fn job(mut spec: Value) -> Value {
    let mut pod: Value = serde_json::from_str(POD).unwrap();
    pod.set(&["restartPolicy"], "Never".into());
    spec.set(&["template", "spec"], pod);
    json!({"spec": spec})
}

#[test]
fn finalizers_are_qualified_or_known() {
    let why = "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified";
    refused(
        "v1",
        "ConfigMap",
        json!({"metadata": {"name": "x", "finalizers": ["x"]}}),
        why,
    );
    refused(
        "v1",
        "ConfigMap",
        json!({"metadata": {"name": "x", "finalizers": ["a.b/c", "orphan"]}}),
        "",
    );
}

#[test]
fn events_of_the_core_group_have_any_name() {
    let event = |name: &str| {
        let about = json!({"namespace": "corpus"});
        json!({"metadata": {"name": name}, "involvedObject": about})
    };
    for name in ["A.17abc", "system:foo.1", "a_b"] {
        refused("v1", "Event", event(name), "");
    }
    let why = "metadata.name: Invalid value: \"a/b\": may not contain '/'";
    refused("v1", "Event", event("a/b"), why);
}

#[test]
fn labels_are_measured_in_bytes() {
    let long = "a".repeat(64);
    let why = format!("metadata.labels: Invalid value: \"{long}\": must be no more than 63 bytes");
    refused(
        "v1",
        "ConfigMap",
        json!({"metadata": {"name": "x", "labels": {"k": long}}}),
        &why,
    );
}

#[test]
fn structs_are_printed_as_internal_types() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template, "strategy": {"type": "Foo"}});
    let why = r#"spec.strategy: Unsupported value: {"Type":"Foo","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate""#;
    refused("apps/v1", "Deployment", json!({"spec": spec}), why);
}

#[test]
fn fields_of_features_that_are_off_are_dropped() {
    let object = manifest(
        "coordination.k8s.io/v1",
        "Lease",
        json!({"spec": {"strategy": "x", "holderIdentity": "h"}}),
    );
    let registry = crate::builtin();
    let kind = registry.kind(&object.gvk().unwrap()).unwrap();
    let lease = created(kind, object).unwrap();
    assert_eq!(lease["spec"], json!({"holderIdentity": "h"}));
}

#[test]
fn jobs_have_sound_policies() {
    let rule = json!({"action": "FailJob", "onExitCodes": {"containerName": "z", "operator": "In", "values": [2, 1, 0]}});
    let why = "[spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"z\": must be one of the container or initContainer names in the pod template, spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Invalid value: 0: must not be 0 for the In operator, spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1,0]: must be ordered]";
    refused(
        "batch/v1",
        "Job",
        job(json!({"podFailurePolicy": {"rules": [rule]}})),
        why,
    );
    let indexed = json!({"completionMode": "Indexed", "completions": 2, "successPolicy": {"rules": [{"succeededCount": 3}]}});
    let why = "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of specified completions)";
    refused("batch/v1", "Job", job(indexed), why);
    refused(
        "batch/v1",
        "Job",
        job(json!({"completionMode": ""})),
        "spec.completionMode: Unsupported value: \"\": supported values: \"NonIndexed\", \"Indexed\"",
    );
}

#[test]
fn quotas_cover_what_their_scopes_allow() {
    let why =
        "spec.hard[storage]: Invalid value: \"storage\": must be a standard resource for quota";
    refused(
        "v1",
        "ResourceQuota",
        json!({"spec": {"hard": {"storage": "1"}}}),
        why,
    );
    let scoped = json!({"hard": {"services": "1"}, "scopes": ["BestEffort"]});
    let why = "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource";
    refused("v1", "ResourceQuota", json!({"spec": scoped}), why);
}

#[test]
fn limit_ranges_are_of_known_types_and_their_ratios_possible() {
    let limits = |item: Value| json!({"spec": {"limits": [item]}});
    let why = "spec.limits[0].type: Invalid value: \"Foo\": must be a standard limit type or fully qualified";
    refused("v1", "LimitRange", limits(json!({"type": "Foo"})), why);
    let item = json!({"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}});
    let why = "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000";
    refused("v1", "LimitRange", limits(item), why);
}

#[test]
fn claims_keep_the_data_sources_they_may_have() {
    let claim = |source: Value| {
        manifest(
            "v1",
            "PersistentVolumeClaim",
            json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}, "dataSource": source}}),
        )
    };
    let registry = crate::builtin();
    let snapshot =
        json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"});
    for (source, is_kept) in [
        (snapshot, true),
        (
            json!({"apiGroup": "a.b", "kind": "Foo", "name": "s"}),
            false,
        ),
    ] {
        let object = claim(source);
        let kind = registry.kind(&object.gvk().unwrap()).unwrap();
        let stored = created(kind, object).unwrap();
        assert_eq!(stored.at(&["spec", "dataSourceRef"]).is_some(), is_kept);
    }
}

#[test]
fn classes_and_drivers_are_checked() {
    refused(
        "node.k8s.io/v1",
        "RuntimeClass",
        json!({"handler": "h", "overhead": {"podFixed": {"foo": "1"}}}),
        "[overhead.limits[foo]: Invalid value: \"foo\": must be a standard resource type or fully qualified, overhead.limits[foo]: Invalid value: \"foo\": must be a standard resource for containers]",
    );
    refused(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        json!({"spec": {"attacher": "", "nodeName": "n", "source": {"persistentVolumeName": "p"}}}),
        "spec.attacher: Required value",
    );
    refused(
        "networking.k8s.io/v1",
        "IngressClass",
        json!({"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": ""}}}),
        "spec.parameters.scope: Unsupported value: \"\": supported values: \"Cluster\", \"Namespace\"",
    );
}

#[test]
fn metrics_may_describe_objects_of_the_core_group() {
    let metric = json!({"type": "Object", "object": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "1"},
        "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"}}});
    let spec = json!({"maxReplicas": 3, "metrics": [metric], "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}});
    refused(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        json!({"spec": spec}),
        "",
    );
}

/// What is said to a pod whose container and spec have these fields.
#[track_caller]
pub(super) fn pod_refused(container: Value, spec: Value, expected: &str) {
    let mut pod: Value = serde_json::from_str(POD).unwrap();
    let (Value::Object(own), Value::Object(fields)) = (container, spec) else {
        panic!("containers and specs are maps");
    };
    for (field, value) in own {
        pod["containers"][0].set(&[&field], value);
    }
    for (field, value) in fields {
        pod.set(&[&field], value);
    }
    refused("v1", "Pod", json!({"spec": pod}), expected);
}

#[test]
fn containers_restart_by_known_rules() {
    let rules = json!({"restartPolicy": "Foo", "restartPolicyRules": [{"action": "Stop", "exitCodes": {"operator": "Gt"}}]});
    let why = "[spec.containers[0].restartPolicy: Unsupported value: \"Foo\": supported values: \"Always\", \"Never\", \"OnFailure\", spec.containers[0].restartPolicyRules[0].action: Unsupported value: \"Stop\": supported values: \"Restart\", \"RestartAllContainers\", spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: \"Gt\": supported values: \"In\", \"NotIn\"]";
    pod_refused(rules, json!({}), why);
}

#[test]
fn references_in_pods_are_named_soundly() {
    let bad = json!({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a/b", "key": "k"}}}]});
    let why = "spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Invalid value: \"a/b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    pod_refused(bad, json!({}), why);
    let why = "spec.containers[0].resources.claims[0]: Not found: \"g\": must be one of the names in pod.spec.resourceClaims: h";
    pod_refused(
        json!({"resources": {"claims": [{"name": "g"}]}}),
        json!({"resourceClaims": [{"name": "h", "resourceClaimName": "c"}]}),
        why,
    );
}

#[test]
fn profiles_and_policies_of_pods_fit_their_type() {
    let why = r#"spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"Unconfined","LocalhostProfile":"p"}: can only be set when seccomp type is Localhost"#;
    let profile = json!({"type": "Unconfined", "localhostProfile": "p"});
    pod_refused(
        json!({}),
        json!({"securityContext": {"seccompProfile": profile}}),
        why,
    );
    let why = "spec.securityContext.seLinuxChangePolicy: Unsupported value: \"MountOption\": supported values: \"Recursive\"";
    pod_refused(
        json!({}),
        json!({"securityContext": {"seLinuxChangePolicy": "MountOption"}}),
        why,
    );
}

#[test]
fn templates_of_claims_have_labels_and_annotations_alone() {
    let template = json!({"metadata": {"name": "n"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let why =
        "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set";
    pod_refused(
        json!({}),
        json!({"volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]}),
        why,
    );
}
