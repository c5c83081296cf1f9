//! Cases of handing out rights.

use std::sync::Arc;

use kinds::strategy::{Operation, User};
use meta::{Object, ObjectExt};
use serde_json::json;

use super::check;
use crate::Policy;
use crate::rbac::Objects;
use crate::testing::request;
use crate::user::user;

fn policy() -> Arc<Policy> {
    let bind = |name: &str, role: &str, user: &str| {
        json!({"metadata": {"name": name, "namespace": "web"},
            "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "User", "name": user}]})
    };
    Arc::new(Policy::read(&Objects {
        cluster_roles: &[
            json!({"metadata": {"name": "reader"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}),
            json!({"metadata": {"name": "binder"}, "rules": [
                {"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "resourceNames": ["admin"]}]}),
            json!({"metadata": {"name": "climber"}, "rules": [
                {"verbs": ["escalate"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]}]}),
            json!({"metadata": {"name": "admin"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}),
        ],
        cluster_role_bindings: &[],
        roles: &[],
        role_bindings: &[
            bind("a", "reader", "ann"),
            bind("b", "binder", "ben"),
            bind("c", "climber", "cat"),
        ],
    }))
}

fn write(
    user: &User,
    resource: &str,
    new: Object,
    old: Option<&Object>,
) -> Result<(), meta::StatusError> {
    let mut request = request(user, "rbac.authorization.k8s.io", resource, new);
    request.policy = policy();
    if old.is_some() {
        request.operation = Operation::Update;
        request.old = old;
    }
    check(&request)
}

fn role(verbs: &[&str]) -> Object {
    json!({"metadata": {"name": "r", "namespace": "web"},
        "rules": [{"verbs": verbs, "apiGroups": [""], "resources": ["pods"]}]})
}

fn binding(role: &str) -> Object {
    json!({"metadata": {"name": "b", "namespace": "web"}, "roleRef": {"kind": "ClusterRole", "name": role}})
}

#[test]
fn a_role_gives_no_more_than_its_writer_holds() {
    let ann = user("ann", &[]);
    assert!(write(&ann, "roles", role(&["get"]), None).is_ok());
    let error = write(&ann, "roles", role(&["get", "list", "delete"]), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ann\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\" \"delete\"]}"
    );
    assert!(write(&user("cat", &[]), "roles", role(&["list"]), None).is_ok());
    let root = user("root", &["system:masters"]);
    assert!(write(&root, "roles", role(&["*"]), None).is_ok());
}

#[test]
fn a_binding_gives_no_more_than_its_writer_holds_unless_told_so() {
    let (ann, ben) = (user("ann", &[]), user("ben", &[]));
    assert!(write(&ann, "rolebindings", binding("reader"), None).is_ok());
    let error = write(&ann, "rolebindings", binding("admin"), None).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}")
    );
    assert!(write(&ben, "rolebindings", binding("admin"), None).is_ok());
    let error = write(&ben, "rolebindings", binding("gone"), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rolebindings.rbac.authorization.k8s.io \"gone\" not found"
    );
}

#[test]
fn an_update_of_finalizers_alone_is_free() {
    let ann = user("ann", &[]);
    let mut new = role(&["*"]);
    new.set(&["metadata", "finalizers"], json!(["x/y"]));
    assert!(write(&ann, "roles", new.clone(), Some(&role(&["*"]))).is_ok());
    new.set(&["metadata", "labels", "a"], "b".into());
    assert!(write(&ann, "roles", new, Some(&role(&["*"]))).is_err());
}

#[test]
fn aggregation_needs_everything() {
    let wide =
        json!({"metadata": {"name": "w"}, "aggregationRule": {"clusterRoleSelectors": [{}]}});
    let error = write(&user("ann", &[]), "clusterroles", wide, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "clusterroles.rbac.authorization.k8s.io \"w\" is forbidden: must have cluster-admin privileges to use the aggregationRule"
    );
}
