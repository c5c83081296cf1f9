//! Roles and their bindings: the kinds of `rbac.authorization.k8s.io`.

mod binding;
mod role;
mod validate;

use serde_json::Value;

use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::row::Group;

const V1: Group = Group {
    name: "rbac.authorization.k8s.io",
    version: "v1",
    types: "io.k8s.api.rbac.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster("ClusterRole", "clusterroles", role::ClusterRole)
            .build(),
        V1.cluster(
            "ClusterRoleBinding",
            "clusterrolebindings",
            binding::ClusterRoleBinding,
        )
        .build(),
        V1.namespaced("Role", "roles", role::Role).build(),
        V1.namespaced("RoleBinding", "rolebindings", binding::RoleBinding)
            .build(),
    ]
}

pub(crate) fn default_subject(subject: &mut Value) {
    if matches!(
        subject.get("kind").and_then(Value::as_str),
        Some("User" | "Group")
    ) {
        subject.default_to("apiGroup", "rbac.authorization.k8s.io");
    }
}
