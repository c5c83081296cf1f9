//! NodeRestriction: a kubelet writes its own node, the pods on it, and nothing else of theirs.
//!
//! Source: `plugin/pkg/admission/noderestriction`.

use std::collections::BTreeSet;

use kinds::strategy::{Lookup, Operation};
use meta::field::quote;
use meta::{GroupResource, Object, ObjectExt, StatusError};
use serde_json::Value;

use super::{Plugin, Request};
use crate::attributes::{Attributes, Decision};
use crate::node::MIRROR_POD;
use crate::user::{NODE_PREFIX, NODES};
use crate::{node, user};

const RESTRICTED: &str = "node-restriction.kubernetes.io";
/// Labels below `kubernetes.io` and `k8s.io` that kubelets may set. Source: `kubelet/pkg/apis` `kubeletLabels`.
const KUBELET_LABELS: [&str; 11] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const KUBELET_NAMESPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Volume sources that need the API, with upstream's words for them.
const SOURCES: [(&str, &str); 5] = [
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    (
        "ephemeral",
        "persistentvolumeclaims (via ephemeral volumes)",
    ),
    ("azureFile", "secrets (via azureFile volumes)"),
];
/// Projected volume sources that need the API, likewise.
const PROJECTED: [(&str, &str); 3] = [
    (
        "serviceAccountToken",
        "serviceaccounts (via projected volumes)",
    ),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
];

pub(super) struct NodeRestriction;

impl Plugin for NodeRestriction {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_node = request.user.groups.iter().any(|group| group == NODES);
        if !is_node || !request.user.name.starts_with(NODE_PREFIX) {
            return Ok(());
        }
        let Some(node) = user::node_of(request.user) else {
            let why = format!(
                "could not determine node from user {}",
                quote(&request.user.name)
            );
            return Err(request.forbidden(&why));
        };
        check(node, request, cluster).map_err(|refusal| match refusal {
            Refusal::Forbidden(why) => request.forbidden(&why),
            Refusal::Missing(resource, name) => {
                StatusError::not_found(&GroupResource::new("", resource), &name)
            }
        })
    }
}

/// Why a kubelet may not.
enum Refusal {
    Forbidden(String),
    /// What decides is not there.
    Missing(&'static str, String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Forbidden(why)
    }
}

fn check(node: &str, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), Refusal> {
    let subresource = request.subresource.as_str();
    match request.resource.to_string().as_str() {
        "pods" => check_pod(node, request, cluster),
        "nodes" => Ok(check_node(node, request)?),
        "persistentvolumeclaims" if subresource == "status" => {
            Ok(check_claim_status(node, request)?)
        }
        "persistentvolumeclaims" => Err("may only update PVC status".to_owned().into()),
        "serviceaccounts" => check_token(node, request, cluster),
        "leases.coordination.k8s.io" if request.namespace != "kube-node-lease" => {
            let why = "can only access leases in the \"kube-node-lease\" system namespace";
            Err(why.to_owned().into())
        }
        "leases.coordination.k8s.io" => {
            let why = "can only access node lease with the same name as the requesting node";
            Ok(check_own_name(node, request, why)?)
        }
        "csinodes.storage.k8s.io" => {
            let why = "can only access CSINode with the same name as the requesting node";
            Ok(check_own_name(node, request, why)?)
        }
        "resourceslices.resource.k8s.io" => Ok(check_slice(node, request)?),
        "certificatesigningrequests.certificates.k8s.io" => Ok(check_csr(node, request)?),
        _ => Ok(()),
    }
}

fn check_own_name(node: &str, request: &Request<'_>, why: &str) -> Result<(), String> {
    let name = match (&request.object, request.operation) {
        (Some(new), Operation::Create) => new.name(),
        _ => request.name.as_str(),
    };
    if name == node {
        return Ok(());
    }
    Err(why.into())
}

fn check_pod(node: &str, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), Refusal> {
    let quoted = quote(node);
    let stored = || {
        let pod = cluster.get("pods", &request.namespace, &request.name);
        pod.ok_or_else(|| Refusal::Missing("pods", request.name.clone()))
    };
    let is_own = |pod: &Object| pod.str_at(&["spec", "nodeName"]) == Some(node);
    match (request.subresource.as_str(), request.operation) {
        ("", Operation::Create) => match &request.object {
            Some(pod) => check_mirror(node, pod, cluster),
            None => Ok(()),
        },
        ("", Operation::Delete) | ("eviction", Operation::Create) if is_own(&*stored()?) => Ok(()),
        ("", Operation::Delete) => Err(format!(
            "node {quoted} can only delete pods with spec.nodeName set to itself"
        )
        .into()),
        ("", other) => Err(format!(
            "unexpected operation {}, node {quoted} can only create and delete mirror pods",
            quote(word(other))
        )
        .into()),
        ("status", Operation::Update) => Ok(check_pod_status(node, request)?),
        ("eviction", Operation::Create) => {
            Err(format!("node {node} can only evict pods with spec.nodeName set to itself").into())
        }
        ("status" | "eviction", other) => {
            Err(format!("unexpected operation {}", quote(word(other))).into())
        }
        (other, _) => Err(format!(
            "unexpected pod subresource {}, only 'status' and 'eviction' are allowed",
            quote(other)
        )
        .into()),
    }
}

fn check_pod_status(node: &str, request: &Request<'_>) -> Result<(), String> {
    let (Some(new), Some(old)) = (&request.object, &request.old) else {
        return Ok(());
    };
    let quoted = quote(node);
    if old.str_at(&["spec", "nodeName"]) != Some(node) {
        return Err(format!(
            "node {quoted} can only update pod status for pods with spec.nodeName set to itself"
        ));
    }
    if old.labels() != new.labels() {
        return Err(format!(
            "node {quoted} cannot update labels through pod status"
        ));
    }
    let differs = |field: &str| old.at(&["status", field]) != new.at(&["status", field]);
    if differs("resourceClaimStatuses") {
        return Err(format!(
            "node {quoted} cannot update resource claim statues"
        ));
    }
    if differs("extendedResourceClaimStatus") {
        return Err(format!(
            "node {quoted} cannot update extended resource claim status"
        ));
    }
    Ok(())
}

/// A kubelet creates mirror pods only: owned by its node, and asking for nothing from the API.
fn check_mirror(node: &str, pod: &Object, cluster: &dyn Lookup) -> Result<(), Refusal> {
    let quoted = quote(node);
    if pod.annotation(MIRROR_POD).is_none() {
        return Err(format!(
            "pod does not have {} annotation, node {quoted} can only create mirror pods",
            quote(MIRROR_POD)
        )
        .into());
    }
    if pod.str_at(&["spec", "nodeName"]) != Some(node) {
        return Err(
            format!("node {quoted} can only create pods with spec.nodeName set to itself").into(),
        );
    }
    let can_only =
        |what: &str| Err(format!("node {quoted} can only create pods with {what}").into());
    let owner = match pod.owner_references() {
        [owner] => owner,
        [] => return can_only("an owner reference set to itself"),
        _ => return can_only("a single owner reference set to itself"),
    };
    let text = |field: &str| owner.str_at(&[field]).unwrap_or_default();
    if (text("apiVersion"), text("kind"), text("name")) != ("v1", "Node", node) {
        return can_only("an owner reference set to itself");
    }
    if owner.bool_at(&["controller"]) != Some(true) {
        return can_only("a controller owner reference set to itself");
    }
    if owner.bool_at(&["blockOwnerDeletion"]) == Some(true) {
        return Err(
            format!("node {quoted} must not set blockOwnerDeletion on an owner reference").into(),
        );
    }
    let missing = || Refusal::Missing("nodes", node.to_owned());
    let stored = cluster.get("nodes", "", node).ok_or_else(missing)?;
    if stored.uid() != text("uid") {
        return Err(format!(
            "node {node} UID mismatch: expected {} got {}",
            text("uid"),
            stored.uid()
        )
        .into());
    }
    match api_reference(pod) {
        Some(what) => {
            Err(format!("node {quoted} can not create pods that reference {what}").into())
        }
        None => Ok(()),
    }
}

/// What a pod asks for from the API. Source: `pkg/api/pod` `HasAPIObjectReference`.
fn api_reference(pod: &Object) -> Option<&'static str> {
    let account = pod.str_at(&["spec", "serviceAccountName"]);
    if account.is_some_and(|name| !name.is_empty()) {
        return Some("serviceaccounts");
    }
    if !node::secrets(pod).is_empty() {
        return Some("secrets");
    }
    if !node::config_maps(pod).is_empty() {
        return Some("configmaps");
    }
    if !pod.list_at(&["spec", "resourceClaims"]).is_empty() {
        return Some("resourceclaims");
    }
    let find = |of: &Value, known: &[(&str, &'static str)]| {
        known
            .iter()
            .find(|(field, _)| of.at(&[field]).is_some())
            .map(|(_, what)| *what)
    };
    let volumes = pod.list_at(&["spec", "volumes"]);
    volumes.iter().find_map(|volume| {
        let mut sources = volume.list_at(&["projected", "sources"]).iter();
        find(volume, &SOURCES).or_else(|| sources.find_map(|source| find(source, &PROJECTED)))
    })
}

fn check_claim_status(node: &str, request: &Request<'_>) -> Result<(), String> {
    let (Some(new), Some(old)) = (&request.object, &request.old) else {
        return Ok(());
    };
    let bare = |claim: &Object| {
        let mut claim = claim.clone();
        for field in [
            "capacity",
            "conditions",
            "allocatedResourceStatuses",
            "allocatedResources",
        ] {
            claim.remove(&["status", field]);
        }
        claim.remove(&["metadata", "resourceVersion"]);
        claim.remove(&["metadata", "managedFields"]);
        claim
    };
    if bare(new) == bare(old) {
        return Ok(());
    }
    Err(format!(
        "node {} is not allowed to update fields other than status.quantity and status.conditions",
        quote(node)
    ))
}

fn check_node(node: &str, request: &Request<'_>) -> Result<(), String> {
    let quoted = quote(node);
    let name = match &request.object {
        Some(new) if request.name.is_empty() => new.name(),
        _ => request.name.as_str(),
    };
    if name != node {
        return Err(format!(
            "node {quoted} is not allowed to modify node {}",
            quote(name)
        ));
    }
    match (request.operation, &request.object, &request.old) {
        (Operation::Create, Some(new), _) => {
            if new.at(&["spec", "configSource"]).is_some() {
                return Err(format!(
                    "node {quoted} is not allowed to create pods with a non-nil configSource"
                ));
            }
            let labels = forbidden_labels(new, None);
            if !labels.is_empty() {
                return Err(format!(
                    "node {quoted} is not allowed to set the following labels: {}",
                    labels.join(", ")
                ));
            }
        }
        (Operation::Update, Some(new), Some(old)) => {
            let differs = |path: &[&str]| new.at(path) != old.at(path);
            let source = ["spec", "configSource"];
            if new.at(&source).is_some() && differs(&source) {
                return Err(format!(
                    "node {quoted} is not allowed to update configSource to a new non-nil configSource"
                ));
            }
            if new.list_at(&["spec", "taints"]) != old.list_at(&["spec", "taints"]) {
                return Err(format!("node {quoted} is not allowed to modify taints"));
            }
            if new.owner_references() != old.owner_references() {
                return Err(format!(
                    "node {quoted} is not allowed to modify ownerReferences"
                ));
            }
            let labels = forbidden_labels(new, Some(old));
            if !labels.is_empty() {
                return Err(format!(
                    "is not allowed to modify labels: {}",
                    labels.join(", ")
                ));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Labels that differ and are not a kubelet's to set.
fn forbidden_labels(new: &Object, old: Option<&Object>) -> Vec<String> {
    let (new, old) = (new.labels(), old.map(ObjectExt::labels).unwrap_or_default());
    let keys: BTreeSet<&String> = new.keys().chain(old.keys()).collect();
    let modified = keys
        .into_iter()
        .filter(|key| new.get(*key) != old.get(*key));
    modified.filter(|key| !is_settable(key)).cloned().collect()
}

fn is_settable(label: &str) -> bool {
    let namespace = label.split_once('/').map_or("", |(namespace, _)| namespace);
    let is_below = |domain: &str| {
        namespace
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if is_below(RESTRICTED) {
        return false;
    }
    let is_upstreams = is_below("kubernetes.io") || is_below("k8s.io");
    !is_upstreams
        || KUBELET_LABELS.contains(&label)
        || KUBELET_NAMESPACES.iter().any(|domain| is_below(domain))
}

fn check_token(node: &str, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), Refusal> {
    let is_token = request.subresource == "token" && request.operation == Operation::Create;
    let Some(token) = request.object.as_ref().filter(|_| is_token) else {
        return Ok(());
    };
    let text = |field: &str| {
        token
            .str_at(&["spec", "boundObjectRef", field])
            .unwrap_or_default()
    };
    if (text("apiVersion"), text("kind")) != ("v1", "Pod") || text("name").is_empty() {
        return Err("node requested token not bound to a pod".to_owned().into());
    }
    if text("uid").is_empty() {
        let why = "node requested token with a pod binding without a uid";
        return Err(why.to_owned().into());
    }
    let name = text("name");
    let pod = cluster
        .get("pods", &request.namespace, name)
        .ok_or_else(|| Refusal::Missing("pods", name.to_owned()))?;
    if pod.uid() != text("uid") {
        return Err(format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
            text("uid")
        )
        .into());
    }
    if pod.str_at(&["spec", "nodeName"]) != Some(node) {
        let why = "node requested token bound to a pod scheduled on a different node";
        return Err(why.to_owned().into());
    }
    Ok(check_audience(request, token, &pod, cluster)?)
}

/// A kubelet asks only for audiences that the pod names. Source: `validateNodeServiceAccountAudience`.
fn check_audience(
    request: &Request<'_>,
    token: &Object,
    pod: &Object,
    cluster: &dyn Lookup,
) -> Result<(), String> {
    let audience = match token.list_at(&["spec", "audiences"]) {
        [] => "",
        [one] => one.as_str().unwrap_or_default(),
        _ => return Err("node may only request 0 or 1 audiences".into()),
    };
    if names_audience(pod, audience, cluster) {
        return Ok(());
    }
    let asked = Attributes {
        user: request.user.clone(),
        verb: "request-serviceaccounts-token-audience".into(),
        namespace: request.namespace.clone(),
        version: "v1".into(),
        resource: audience.into(),
        name: request.name.clone(),
        is_resource: true,
        ..Attributes::default()
    };
    if request.policy.authorize(&asked) == Decision::Allow {
        return Ok(());
    }
    Err(format!(
        "audience {} not found in pod spec volume, {} is not authorized to request tokens for this audience",
        quote(audience),
        request.user.name
    ))
}

fn names_audience(pod: &Object, audience: &str, cluster: &dyn Lookup) -> bool {
    let of_driver = |driver: &str| {
        let driver = cluster.get("csidrivers.storage.k8s.io", "", driver);
        driver.is_some_and(|driver| {
            let requests = driver.list_at(&["spec", "tokenRequests"]);
            requests
                .iter()
                .any(|request| request.str_at(&["audience"]).unwrap_or_default() == audience)
        })
    };
    let of_claim = |claim: &str| {
        let claim = cluster.get("persistentvolumeclaims", pod.namespace(), claim)?;
        let volume = claim.str_at(&["spec", "volumeName"])?;
        let volume = cluster.get("persistentvolumes", "", volume)?;
        volume.str_at(&["spec", "csi", "driver"]).map(str::to_owned)
    };
    pod.list_at(&["spec", "volumes"]).iter().any(|volume| {
        let sources = volume.list_at(&["projected", "sources"]);
        let is_projected = sources
            .iter()
            .filter_map(|source| source.at(&["serviceAccountToken"]))
            .any(|token| token.str_at(&["audience"]).unwrap_or_default() == audience);
        let claim = volume
            .str_at(&["persistentVolumeClaim", "claimName"])
            .and_then(of_claim);
        let own = volume.at(&["ephemeral"]).and_then(|_| {
            let volume = volume.str_at(&["name"]).unwrap_or_default();
            of_claim(&format!("{}-{volume}", pod.name()))
        });
        let inline = volume.str_at(&["csi", "driver"]).map(str::to_owned);
        let mut drivers = [claim, own, inline].into_iter().flatten();
        is_projected || drivers.any(|driver| of_driver(&driver))
    })
}

fn check_slice(node: &str, request: &Request<'_>) -> Result<(), String> {
    let (slice, verb) = match request.operation {
        Operation::Create => (request.object.as_ref(), "create"),
        Operation::Delete => (request.old, "delete"),
        _ => return Ok(()),
    };
    let of = slice.and_then(|slice| slice.str_at(&["spec", "nodeName"]));
    if of == Some(node) {
        return Ok(());
    }
    Err(format!(
        "can only {verb} ResourceSlice with the same NodeName as the requesting node"
    ))
}

/// A kubelet asks for kubelets' certificates only for itself. Source: `admitCSR`.
fn check_csr(node: &str, request: &Request<'_>) -> Result<(), String> {
    use crate::certificates::{KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER, request_of};
    let is_new = request.operation == Operation::Create && request.subresource.is_empty();
    let Some(csr) = request.object.as_ref().filter(|_| is_new) else {
        return Ok(());
    };
    let signer = csr.str_at(&["spec", "signerName"]).unwrap_or_default();
    if ![KUBELET_CLIENT_SIGNER, KUBELET_SERVING_SIGNER].contains(&signer) {
        return Ok(());
    }
    let wanted = request_of(csr).map_err(|why| format!("unable to parse csr: {why}"))?;
    let own = format!("{NODE_PREFIX}{node}");
    if wanted.common_name == own {
        return Ok(());
    }
    Err(format!("can only create a node CSR with CN={own}"))
}

fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

#[cfg(test)]
mod tests;
