//! The Node authorizer: what a kubelet may read, beyond its own role: what its own pods refer to.
//!
//! Source: `plugin/pkg/auth/authorizer/node`. The graph is not kept: it is read from the snapshot on each request,
//! through the store's index of pods by node.

use std::sync::{Arc, LazyLock};

use kinds::strategy::Lookup;
use meta::{Object, ObjectExt};

use crate::attributes::{Attributes, Decision};
use crate::rbac::Rule;
use crate::user;

/// The rules of the `system:node` role.
static NODE_RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let objects = crate::bootstrap::roles_and_bindings();
    let role = objects
        .iter()
        .find(|role| role.kind() == "ClusterRole" && role.name() == "system:node");
    role.map(crate::rbac::rules_of).unwrap_or_default()
});

/// Reads the pods of one node.
pub trait PodsByNode: Lookup {
    /// The pods bound to a node.
    fn pods_on(&self, node: &str) -> Vec<Arc<Object>>;
}

/// Whether a kubelet's request may pass; `NoOpinion` for everybody else and for what its role decides.
pub fn authorize(request: &Attributes, cluster: &dyn PodsByNode) -> Decision {
    let Some(node) = user::node_of(&request.user) else {
        return Decision::NoOpinion {
            reason: String::new(),
        };
    };
    if !request.is_resource {
        return Decision::NoOpinion {
            reason: String::new(),
        };
    }
    let reads = |request: &Attributes| matches!(request.verb.as_str(), "get" | "list" | "watch");
    match (request.group.as_str(), request.resource.as_str()) {
        ("", "secrets" | "configmaps" | "persistentvolumeclaims")
            if reads(request) || is_claim_status(request) =>
        {
            referenced(request, cluster, node)
        }
        ("", "serviceaccounts") if request.subresource == "token" && request.verb == "create" => {
            referenced(request, cluster, node)
        }
        ("coordination.k8s.io", "leases") => lease(request, node),
        ("storage.k8s.io", "csinodes")
            if request.name != node && request.verb != "create" && !request.name.is_empty() =>
        {
            no_opinion("can only access CSINode with the same name as the requesting node")
        }
        _ => by_role(request),
    }
}

fn is_claim_status(request: &Attributes) -> bool {
    request.resource == "persistentvolumeclaims" && request.subresource == "status"
}

/// A kubelet renews the lease of its own name in `kube-node-lease`.
fn lease(request: &Attributes, node: &str) -> Decision {
    if request.namespace != "kube-node-lease" {
        return no_opinion("can only access leases in the \"kube-node-lease\" system namespace");
    }
    if request.verb != "create" && request.name != node {
        return no_opinion("can only access node lease with the same name as the requesting node");
    }
    Decision::Allow
}

/// An object may be read when a pod of the node names it.
fn referenced(request: &Attributes, cluster: &dyn PodsByNode, node: &str) -> Decision {
    if request.name.is_empty() {
        return no_opinion("No Object name found");
    }
    let pods = cluster.pods_on(node);
    let of_namespace = pods
        .iter()
        .filter(|pod| pod.namespace() == request.namespace);
    for pod in of_namespace {
        let names = match request.resource.as_str() {
            "secrets" => secrets(pod),
            "configmaps" => config_maps(pod),
            "persistentvolumeclaims" => claims(pod),
            _ => pod
                .str_at(&["spec", "serviceAccountName"])
                .into_iter()
                .collect(),
        };
        if names.contains(&request.name.as_str()) {
            return Decision::Allow;
        }
    }
    let kind = request.resource.trim_end_matches('s');
    no_opinion(&format!(
        "no relationship found between node '{node}' and this object ({kind})"
    ))
}

fn containers(pod: &Object) -> impl Iterator<Item = &Object> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| pod.list_at(&["spec", list]))
}

fn env_names<'a>(pod: &'a Object, from: &'a str, key: &'a str) -> Vec<&'a str> {
    let mut names = Vec::new();
    for container in containers(pod) {
        names.extend(
            container
                .list_at(&["envFrom"])
                .iter()
                .filter_map(|source| source.str_at(&[from, "name"])),
        );
        names.extend(
            container
                .list_at(&["env"])
                .iter()
                .filter_map(|env| env.str_at(&["valueFrom", key, "name"])),
        );
    }
    names
}

fn projected<'a>(pod: &'a Object, source: &'a str) -> impl Iterator<Item = &'a str> {
    let volumes = pod.list_at(&["spec", "volumes"]).iter();
    volumes
        .flat_map(|volume| volume.list_at(&["projected", "sources"]))
        .filter_map(move |item| item.str_at(&[source, "name"]))
}

pub(crate) fn secrets(pod: &Object) -> Vec<&str> {
    let mut names = env_names(pod, "secretRef", "secretKeyRef");
    let volumes = pod.list_at(&["spec", "volumes"]);
    names.extend(
        volumes
            .iter()
            .filter_map(|volume| volume.str_at(&["secret", "secretName"])),
    );
    names.extend(projected(pod, "secret"));
    names.extend(
        pod.list_at(&["spec", "imagePullSecrets"])
            .iter()
            .filter_map(|secret| secret.str_at(&["name"])),
    );
    names
}

pub(crate) fn config_maps(pod: &Object) -> Vec<&str> {
    let mut names = env_names(pod, "configMapRef", "configMapKeyRef");
    let volumes = pod.list_at(&["spec", "volumes"]);
    names.extend(
        volumes
            .iter()
            .filter_map(|volume| volume.str_at(&["configMap", "name"])),
    );
    names.extend(projected(pod, "configMap"));
    names
}

fn claims(pod: &Object) -> Vec<&str> {
    let volumes = pod.list_at(&["spec", "volumes"]);
    volumes
        .iter()
        .filter_map(|volume| volume.str_at(&["persistentVolumeClaim", "claimName"]))
        .collect()
}

/// What the `system:node` role allows without a look at the graph.
fn by_role(request: &Attributes) -> Decision {
    if NODE_RULES.iter().any(|rule| rule.allows(request)) {
        Decision::Allow
    } else {
        no_opinion("")
    }
}

fn no_opinion(reason: &str) -> Decision {
    Decision::NoOpinion {
        reason: reason.to_owned(),
    }
}
