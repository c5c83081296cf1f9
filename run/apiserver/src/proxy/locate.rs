//! From names to places: pods to nodes, nodes to kubelets, containers by name.

use std::sync::Arc;

use kinds::strategy::Lookup;
use meta::{GroupResource, Object, ObjectExt, StatusError};

use super::backend::Target;
use super::{Connect, headers};

/// Kinds of node addresses, the preferred one first. Source: `--kubelet-preferred-address-types` as kubeadm sets it.
const ADDRESS_TYPES: [&str; 5] = [
    "InternalIP",
    "ExternalIP",
    "Hostname",
    "InternalDNS",
    "ExternalDNS",
];
/// The kubelet's port where a node names none. Source: `ports.KubeletPort`.
pub(super) const KUBELET_PORT: u16 = 10250;
/// Where a pod's containers stand.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// The pod a request is about.
pub(super) fn pod(request: &Connect<'_>, name: &str) -> Result<Arc<Object>, StatusError> {
    let found = request.cluster().get("pods", &request.info.namespace, name);
    found.ok_or_else(|| StatusError::not_found(&GroupResource::new("", "pods"), name))
}

/// The kubelet of a node.
pub(super) fn kubelet(request: &Connect<'_>, node: &str) -> Result<Target, StatusError> {
    let object = request.cluster().get("nodes", "", node).ok_or_else(|| {
        // Upstream calls whatever it looks up on the way by what the request is about.
        let asked = GroupResource::new(&request.info.group, &request.info.resource);
        StatusError::not_found(&asked, node)
    })?;
    let port = object
        .int_at(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"])
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
        .unwrap_or(KUBELET_PORT);
    let tls = request.server.config().kubelet.clone();
    let tls = tls.ok_or_else(|| {
        StatusError::unavailable("this server has no client certificate for kubelets")
    })?;
    let host = address(&object).ok_or_else(|| {
        StatusError::internal(format!(
            "no preferred addresses found; known addresses: {}",
            known(&object)
        ))
    })?;
    Ok(Target {
        host,
        port,
        tls: Some(tls),
    })
}

fn address(node: &Object) -> Option<String> {
    let addresses = node.list_at(&["status", "addresses"]);
    ADDRESS_TYPES.iter().find_map(|wanted| {
        let found = addresses
            .iter()
            .find(|address| address.str_at(&["type"]) == Some(wanted))?;
        found.str_at(&["address"]).map(str::to_owned)
    })
}

fn known(node: &Object) -> String {
    let types: Vec<&str> = node
        .list_at(&["status", "addresses"])
        .iter()
        .filter_map(|address| address.str_at(&["type"]))
        .collect();
    format!("[{}]", types.join(" "))
}

/// The container a request is about: the one it names, or the only one. Source: `validateContainer`.
pub(super) fn container(pod: &Object, wanted: &str) -> Result<String, StatusError> {
    let names: Vec<&str> = CONTAINERS
        .iter()
        .flat_map(|list| pod.list_at(&["spec", list]))
        .filter_map(|container| container.str_at(&["name"]))
        .collect();
    let name = pod.name();
    if !wanted.is_empty() {
        return if names.contains(&wanted) {
            Ok(wanted.to_owned())
        } else {
            Err(StatusError::bad_request(format!(
                "container {wanted} is not valid for pod {name}"
            )))
        };
    }
    match pod.list_at(&["spec", "containers"]) {
        [] => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {name}"
        ))),
        [only] => Ok(only.str_at(&["name"]).unwrap_or_default().to_owned()),
        _ => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

/// The node a pod is bound to; `None` while it is bound to none.
pub(super) fn node_of(pod: &Object) -> Option<&str> {
    pod.str_at(&["spec", "nodeName"])
        .filter(|node| !node.is_empty())
}

/// Scheme, name and port of `name`, `name:port` or `scheme:name:port`. Source: `SplitSchemeNamePort`.
pub(super) fn split(id: &str) -> Option<(&str, &str, &str)> {
    let (scheme, name, port) = match id.split(':').collect::<Vec<_>>().as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => return None,
    };
    let is_valid = !name.is_empty() && matches!(scheme, "" | "http" | "https");
    is_valid.then_some((scheme, name, port))
}

/// What follows `/proxy` in the request's path, with the query; at least `/`.
pub(super) fn rest(request: &Connect<'_>) -> String {
    let (_, rest) = around_proxy(request);
    let rest = headers::cleaned(rest);
    match request.parts.uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest,
    }
}

/// The request's path up to and with `/proxy`, and what follows.
pub(super) fn around_proxy<'a>(request: &'a Connect<'_>) -> (&'a str, &'a str) {
    let path = request.parts.uri.path();
    let marker = format!("/{}/proxy", request.info.name);
    let decoded = path.find(&marker).map(|at| at + marker.len());
    // A name with escapes does not stand in the path as it is; the first `/proxy` is then the right one.
    let from = decoded.or_else(|| path.find("/proxy").map(|at| at + "/proxy".len()));
    let around = from.and_then(|from| path.split_at_checked(from));
    around.unwrap_or((path, ""))
}
