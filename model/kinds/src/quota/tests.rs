//! Cases of counting. What admission makes of the numbers is tested there.

use serde_json::{Value, json};

use super::*;
use crate::amounts::print;

fn used(spec: &Value, objects: &[(&str, Object)]) -> String {
    let quota = json!({ "metadata": { "name": "q", "namespace": "web" }, "spec": spec });
    let list = |resource: &str| {
        let of_resource = objects.iter().filter(|(known, _)| *known == resource);
        let is_known = resource != "widgets.example.com";
        is_known.then(|| {
            of_resource
                .map(|(_, object)| object.clone())
                .collect::<Vec<Object>>()
        })
    };
    print(&usage(&quota, list, Timestamp::UNIX_EPOCH))
}

#[test]
fn usage_names_everything_that_is_limited() {
    let claim = json!({"metadata": {"name": "c", "namespace": "web"},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}}});
    let spec = json!({"hard": {"pods": "1", "requests.storage": "5Gi",
        "fast.storageclass.storage.k8s.io/requests.storage": "2Gi", "requests.nvidia.com/gpu": "2"}});
    assert_eq!(
        used(&spec, &[("persistentvolumeclaims", claim)]),
        "fast.storageclass.storage.k8s.io/requests.storage=1Gi,pods=0,requests.nvidia.com/gpu=0,requests.storage=1Gi"
    );
}

#[test]
fn what_nobody_counts_is_left_out() {
    let spec =
        json!({"hard": {"odd": "1", "count/widgets.example.com": "1", "count/secrets": "1"}});
    assert_eq!(used(&spec, &[]), "count/secrets=0");
}

#[test]
fn a_pod_that_should_have_ended_uses_nothing() {
    let pod = |deleted: &str| {
        (
            "pods",
            json!({"metadata": {"name": "p", "namespace": "web",
            "deletionTimestamp": deleted, "deletionGracePeriodSeconds": 30}}),
        )
    };
    let spec = json!({"hard": {"pods": "5"}});
    let pods = [pod("1969-12-31T23:59:00Z"), pod("1970-01-01T00:00:00Z")];
    assert_eq!(used(&spec, &pods), "pods=1");
}
