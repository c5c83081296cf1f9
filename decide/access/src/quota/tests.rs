//! Cases of quotas.

use kinds::strategy::Operation;
use meta::ObjectExt;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Cluster, request};
use crate::user::user;

fn quota(spec: &Value) -> (&'static str, Object) {
    let quota = json!({"metadata": {"name": "q", "namespace": "web"}, "spec": spec});
    ("resourcequotas", quota)
}

fn pod(name: &str, spec: &Value) -> Object {
    json!({"metadata": {"name": name, "namespace": "web"}, "spec": spec})
}

fn cpu(amount: &str) -> Value {
    json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": amount}}}]})
}

fn create(resource: &str, object: Object, cluster: &Cluster) -> Result<(), String> {
    let user = user("ann", &[]);
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    check(&request(&user, group, plural, object), cluster).map_err(|error| error.to_string())
}

#[test]
fn what_exceeds_a_quota_is_refused_with_all_its_numbers() {
    let cluster = Cluster::of([
        quota(&json!({"hard": {"requests.cpu": "1", "pods": "5"}})),
        ("pods", pod("a", &cpu("700m"))),
        ("pods", {
            let mut done = pod("b", &cpu("9"));
            done.set(&["status", "phase"], "Succeeded".into());
            done
        }),
    ]);
    assert_eq!(create("pods", pod("c", &cpu("300m")), &cluster), Ok(()));
    assert_eq!(
        create("pods", pod("c", &cpu("400m")), &cluster).unwrap_err(),
        "pods \"c\" is forbidden: exceeded quota: q, requested: requests.cpu=400m, used: requests.cpu=700m, limited: requests.cpu=1"
    );
    assert_eq!(
        create(
            "pods",
            pod("c", &json!({"containers": [{"name": "c"}]})),
            &cluster
        )
        .unwrap_err(),
        "pods \"c\" is forbidden: failed quota: q: must specify requests.cpu for: c"
    );
}

#[test]
fn objects_are_counted_by_name_and_by_alias() {
    let map = |name: &str| json!({"metadata": {"name": name, "namespace": "web"}});
    let cluster = Cluster::of([
        quota(&json!({"hard": {"configmaps": "1", "count/deployments.apps": "0"}})),
        ("configmaps", map("a")),
    ]);
    assert_eq!(
        create("configmaps", map("b"), &cluster).unwrap_err(),
        "configmaps \"b\" is forbidden: exceeded quota: q, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"
    );
    assert!(
        create("deployments.apps", map("d"), &cluster)
            .unwrap_err()
            .contains("requested: count/deployments.apps=1, used: count/deployments.apps=0")
    );
    assert_eq!(create("secrets", map("s"), &cluster), Ok(()));
}

#[test]
fn scopes_choose_the_pods() {
    let best_effort = Cluster::of([quota(
        &json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]}),
    )]);
    assert_eq!(create("pods", pod("c", &cpu("1")), &best_effort), Ok(()));
    assert!(create("pods", pod("c", &json!({"containers": [{}]})), &best_effort).is_err());
    let selector = json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]});
    let priority = Cluster::of([quota(
        &json!({"hard": {"pods": "0"}, "scopeSelector": selector}),
    )]);
    assert_eq!(create("pods", pod("c", &cpu("1")), &priority), Ok(()));
    let mut high = cpu("1");
    high.set(&["priorityClassName"], "high".into());
    assert!(create("pods", pod("c", &high), &priority).is_err());
}

#[test]
fn claims_are_charged_by_class_and_as_extended_resources() {
    let hard = json!({"gpu.deviceclass.resource.k8s.io/devices": "2", "requests.example.com/gpu": "1",
        "requests.deviceclass.resource.kubernetes.io/gpu": "1"});
    let class =
        json!({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": "example.com/gpu"}});
    let request =
        json!({"exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2}});
    let claim = pod("c", &json!({"devices": {"requests": [request]}}));
    let refused = |cluster: &Cluster| {
        create("resourceclaims.resource.k8s.io", claim.clone(), cluster).unwrap_err()
    };
    let without = Cluster::of([quota(&json!({"hard": hard}))]);
    assert_eq!(
        refused(&without),
        "resourceclaims.resource.k8s.io \"c\" is forbidden: exceeded quota: q, requested: requests.deviceclass.resource.kubernetes.io/gpu=2, used: requests.deviceclass.resource.kubernetes.io/gpu=0, limited: requests.deviceclass.resource.kubernetes.io/gpu=1"
    );
    let with = Cluster::of([
        quota(&json!({"hard": hard})),
        ("deviceclasses.resource.k8s.io", class),
    ]);
    assert!(refused(&with).contains("requested: requests.deviceclass.resource.kubernetes.io/gpu=2,requests.example.com/gpu=2, used: "));
}

#[test]
fn an_update_is_charged_for_what_it_adds() {
    let service = |kind: &str| json!({"metadata": {"name": "s", "namespace": "web"}, "spec": {"type": kind, "ports": [{}, {}]}});
    let cluster = Cluster::of([
        quota(&json!({"hard": {"services": "1", "services.nodeports": "1"}})),
        ("services", service("ClusterIP")),
    ]);
    let user = user("ann", &[]);
    let mut request = request(&user, "", "services", service("NodePort"));
    request.operation = Operation::Update;
    let old = service("ClusterIP");
    request.old = Some(&old);
    assert_eq!(
        check(&request, &cluster).unwrap_err().to_string(),
        "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1"
    );
    request.object = Some(service("ClusterIP"));
    assert!(check(&request, &cluster).is_ok());
}
