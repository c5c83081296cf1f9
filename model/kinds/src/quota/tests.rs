//! Cases of counting. What admission makes of the numbers is tested there.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::amounts::print;

struct Cluster<'a>(&'a [(&'a str, Object)]);

impl Lookup for Cluster<'_> {
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let mut all = self.list(resource, namespace).into_iter();
        all.find(|object| object.name() == name)
    }
    fn list(&self, resource: &str, namespace: &str) -> Vec<Arc<Object>> {
        let mut all: Vec<Arc<Object>> = Vec::new();
        for (known, object) in self.0 {
            if *known == resource && (namespace.is_empty() || object.namespace() == namespace) {
                all.push(Arc::new(object.clone()));
            }
        }
        all
    }
    fn count(&self, resource: &str, namespace: &str) -> Option<usize> {
        let is_known = resource != "widgets.example.com";
        is_known.then(|| self.list(resource, namespace).len())
    }
}

fn used(spec: &Value, objects: &[(&str, Object)]) -> String {
    let quota = json!({ "metadata": { "name": "q", "namespace": "web" }, "spec": spec });
    print(&Meter::new(&quota, &Cluster(objects), Timestamp::UNIX_EPOCH).usage(|_| true))
}

fn named(name: &str, spec: &Value) -> Object {
    json!({"metadata": {"name": name, "namespace": "web", "uid": format!("uid-{name}")}, "spec": spec})
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

#[test]
fn every_known_resource_is_counted_but_events_and_reviews() {
    let spec = json!({"hard": {"count/leases.coordination.k8s.io": "1", "count/events": "1",
        "secrets": "1", "count/secrets": "1", "services.other": "1"}});
    let objects = [
        ("leases.coordination.k8s.io", named("a", &Value::Null)),
        ("events", named("a", &Value::Null)),
        ("secrets", named("a", &Value::Null)),
    ];
    let expected = "count/leases.coordination.k8s.io=1,count/secrets=1,secrets=1";
    assert_eq!(used(&spec, &objects), expected);
}

#[test]
fn scopes_hold_for_nothing_that_is_only_counted() {
    let spec = json!({"hard": {"pods": "1", "count/secrets": "1"}, "scopes": ["NotTerminating"]});
    let objects = [
        ("secrets", named("a", &Value::Null)),
        ("pods", named("a", &json!({}))),
    ];
    assert_eq!(used(&spec, &objects), "count/secrets=0,pods=1");
}

#[test]
fn storage_counts_in_whole_bytes_and_as_it_was_allocated() {
    let claim = |name: &str, storage: &str, allocated: &str| {
        let mut claim = named(
            name,
            &json!({"resources": {"requests": {"storage": storage}}}),
        );
        claim["status"] = json!({"allocatedResources": {"storage": allocated}});
        ("persistentvolumeclaims", claim)
    };
    let spec = json!({"hard": {"requests.storage": "5Gi"}});
    let claims = [claim("a", "100m", "0"), claim("b", "1", "3")];
    assert_eq!(used(&spec, &claims), "requests.storage=4");
}

#[test]
fn claims_for_devices_are_charged_with_the_worst_case_for_each_class() {
    let claim = named(
        "a",
        &json!({"devices": {"requests": [
            {"name": "a", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}},
            {"name": "b", "firstAvailable": [
                {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3},
                {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1},
                {"deviceClassName": "nic", "allocationMode": "All"},
            ]},
            {"name": "c", "exactly": {"deviceClassName": "gpu", "allocationMode": "Later", "count": 9}},
        ]}}),
    );
    let spec = json!({"hard": {
        "gpu.deviceclass.resource.k8s.io/devices": "9", "nic.deviceclass.resource.k8s.io/devices": "9",
        "other.deviceclass.resource.k8s.io/devices": "9", "count/resourceclaims.resource.k8s.io": "9",
        "requests.deviceclass.resource.kubernetes.io/gpu": "9",
    }});
    let claims = [
        ("resourceclaims.resource.k8s.io", claim),
        (DEVICE_CLASSES, json!({"metadata": {"name": "gpu"}})),
    ];
    let expected = "count/resourceclaims.resource.k8s.io=1,gpu.deviceclass.resource.k8s.io/devices=5,\
        nic.deviceclass.resource.k8s.io/devices=32,other.deviceclass.resource.k8s.io/devices=0,\
        requests.deviceclass.resource.kubernetes.io/gpu=5";
    assert_eq!(used(&spec, &claims), expected);
}

#[test]
fn a_claim_made_for_a_pod_is_charged_for_what_the_pod_is_not() {
    let pod = named(
        "p",
        &json!({"containers": [{"resources": {"requests": {"example.com/gpu": "2"}}}]}),
    );
    let claim = |name: &str, owner: &str, made: &str| {
        let mut claim = named(
            name,
            &json!({"devices": {"requests": [
            {"exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 3}}]}}),
        );
        claim["metadata"]["creationTimestamp"] = made.into();
        claim["metadata"]["annotations"] =
            json!({"resource.kubernetes.io/extended-resource-claim": "true"});
        claim["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Pod", "name": "p",
            "uid": owner, "controller": true}]);
        ("resourceclaims.resource.k8s.io", claim)
    };
    let class =
        json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}});
    let spec =
        json!({"hard": {"requests.example.com/gpu": "9", "requests.example.com/other": "9"}});
    let used = |claims: &[(&'static str, Object)]| {
        let around = [("pods", pod.clone()), (DEVICE_CLASSES, class.clone())];
        used(&spec, &[&around, claims].concat())
    };
    let other = ",requests.example.com/other=0";
    let (early, late) = ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z");
    let own = claim("a", "uid-p", early);
    assert_eq!(
        used(std::slice::from_ref(&own)),
        format!("requests.example.com/gpu=3{other}")
    );
    assert_eq!(
        used(&[claim("a", "gone", early)]),
        format!("requests.example.com/gpu=5{other}")
    );
    assert_eq!(
        used(&[own, claim("b", "uid-p", late)]),
        format!("requests.example.com/gpu=6{other}")
    );
}
