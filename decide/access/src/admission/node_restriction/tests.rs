//! Cases of what kubelets may write.

use serde_json::json;

use super::*;
use crate::testing::{Cluster, request};

fn cluster() -> Cluster {
    Cluster::of([
        ("nodes", json!({"metadata": {"name": "n1", "uid": "u1"}})),
        (
            "pods",
            json!({"metadata": {"name": "p", "namespace": "web", "uid": "u2"}, "spec": {"nodeName": "n1",
                "volumes": [{"projected": {"sources": [{"serviceAccountToken": {"audience": "vault"}}]}}]}}),
        ),
    ])
}

fn run(
    operation: Operation,
    resource: &str,
    object: &Object,
    old: Option<&Object>,
) -> Result<(), String> {
    let user = user::node("n1");
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let mut request = request(&user, group, plural, object.clone());
    request.operation = operation;
    request.subresource = subresource.into();
    request.old = old;
    NodeRestriction
        .admit(&mut request, &cluster())
        .map_err(|error| error.to_string())
}

fn node(name: &str, labels: &Value) -> Object {
    json!({"metadata": {"name": name, "labels": labels}})
}

#[test]
fn a_kubelet_writes_its_own_node_with_its_own_labels() {
    let create = |node: &Object| run(Operation::Create, "nodes", node, None);
    assert_eq!(
        create(&node(
            "n1",
            &json!({"kubernetes.io/hostname": "n1", "example.com/a": "b", "x.node.kubernetes.io/y": ""})
        )),
        Ok(())
    );
    assert_eq!(
        create(&node("n2", &json!({}))).unwrap_err(),
        "nodes \"n2\" is forbidden: node \"n1\" is not allowed to modify node \"n2\""
    );
    let labels =
        json!({"node-role.kubernetes.io/master": "", "a.node-restriction.kubernetes.io/b": ""});
    assert_eq!(
        create(&node("n1", &labels)).unwrap_err(),
        "nodes \"n1\" is forbidden: node \"n1\" is not allowed to set the following labels: a.node-restriction.kubernetes.io/b, node-role.kubernetes.io/master"
    );
}

#[test]
fn a_kubelet_leaves_taints_and_foreign_labels_alone() {
    let old = node("n1", &json!({"node-role.kubernetes.io/worker": ""}));
    let update = |new: &Object| run(Operation::Update, "nodes", new, Some(&old));
    assert_eq!(update(&old), Ok(()));
    assert_eq!(
        update(&node("n1", &json!({}))).unwrap_err(),
        "nodes \"n1\" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/worker"
    );
    let mut tainted = old.clone();
    tainted.set(
        &["spec", "taints"],
        json!([{"key": "a", "effect": "NoSchedule"}]),
    );
    assert!(
        update(&tainted)
            .unwrap_err()
            .ends_with("node \"n1\" is not allowed to modify taints")
    );
}

#[test]
fn a_kubelet_creates_mirror_pods_of_its_node_only() {
    let create = |pod: &Object| run(Operation::Create, "pods", pod, None);
    let mut pod =
        json!({"metadata": {"name": "m", "namespace": "web"}, "spec": {"nodeName": "n1"}});
    assert_eq!(
        create(&pod).unwrap_err(),
        "pods \"m\" is forbidden: pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods"
    );
    pod.set(&["metadata", "annotations", MIRROR_POD], "x".into());
    assert!(
        create(&pod)
            .unwrap_err()
            .ends_with("can only create pods with an owner reference set to itself")
    );
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1", "controller": true}]);
    pod.set(&["metadata", "ownerReferences"], owner);
    assert_eq!(create(&pod), Ok(()));
    pod.set(&["spec", "volumes"], json!([{"persistentVolumeClaim": {}}]));
    assert!(
        create(&pod)
            .unwrap_err()
            .ends_with("can not create pods that reference persistentvolumeclaims")
    );
}

#[test]
fn a_kubelet_writes_the_status_of_its_own_pods() {
    let pod = |node: &str, label: &str| json!({"metadata": {"name": "p", "namespace": "web", "labels": {"a": label}}, "spec": {"nodeName": node}});
    let update = |new: &Object, old: &Object| run(Operation::Update, "pods/status", new, Some(old));
    assert_eq!(update(&pod("n1", "x"), &pod("n1", "x")), Ok(()));
    assert!(
        update(&pod("n2", "x"), &pod("n2", "x"))
            .unwrap_err()
            .contains("can only update pod status for pods")
    );
    assert!(
        update(&pod("n1", "y"), &pod("n1", "x"))
            .unwrap_err()
            .contains("cannot update labels through pod status")
    );
    assert!(
        run(
            Operation::Update,
            "pods",
            &pod("n1", "x"),
            Some(&pod("n1", "x"))
        )
        .unwrap_err()
        .contains("unexpected operation \"UPDATE\"")
    );
    assert_eq!(
        run(Operation::Delete, "pods", &pod("n1", "x"), None),
        Ok(())
    );
}

#[test]
fn a_kubelet_gets_tokens_for_the_pods_and_audiences_it_runs() {
    let token = |uid: &str, audience: &str| {
        json!({"metadata": {"name": "default", "namespace": "web"}, "spec": {"audiences": [audience],
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid}}})
    };
    let create = |token: &Object| run(Operation::Create, "serviceaccounts/token", token, None);
    assert_eq!(create(&token("u2", "vault")), Ok(()));
    assert!(
        create(&token("u3", "vault"))
            .unwrap_err()
            .contains("the UID in the bound object reference (u3)")
    );
    assert!(
        create(&token("u2", "other"))
            .unwrap_err()
            .contains("audience \"other\" not found in pod spec volume")
    );
    assert!(
        create(&json!({"metadata": {"name": "default", "namespace": "web"}}))
            .unwrap_err()
            .contains("not bound to a pod")
    );
}

#[test]
fn a_kubelet_renews_its_own_lease() {
    let lease = |namespace: &str, name: &str| {
        let lease = json!({"metadata": {"name": name, "namespace": namespace}});
        run(
            Operation::Create,
            "leases.coordination.k8s.io",
            &lease,
            None,
        )
    };
    assert_eq!(lease("kube-node-lease", "n1"), Ok(()));
    assert!(lease("kube-node-lease", "n2").is_err());
    assert!(lease("web", "n1").is_err());
}
