//! What both endpoint controllers ask of services and their pods.

use std::net::IpAddr;
use std::sync::Arc;

use meta::selector::LabelSelector;
use meta::{Key, Object, ObjectExt};
use serde_json::Value;

use crate::claim::selector_of;
use crate::pod;
use crate::resources::{PODS, SERVICES};
use crate::snapshot::Snapshot;

/// Marks what belongs to a service without cluster address. Source: `core/v1 IsHeadlessService`.
pub(crate) const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// As a slice names it.
    pub(crate) fn address_type(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// The selector of a service that gets its endpoints from pods; `None` when it has none or points elsewhere.
fn selector(service: &Object) -> Option<LabelSelector> {
    if service.str_at(&["spec", "type"]) == Some("ExternalName") {
        return None;
    }
    selector_of(service).filter(|selector| !selector.is_everything())
}

/// The services of a pod's namespace that select it.
pub(crate) fn selecting(snapshot: &dyn Snapshot, pod: &Object) -> Vec<Key> {
    let labels = pod.labels();
    let services = snapshot.list(&SERVICES, pod.namespace());
    let selecting = services
        .iter()
        .filter(|service| selector(service).is_some_and(|selector| selector.matches(&labels)));
    selecting.map(|service| service.key()).collect()
}

/// The pods a service selects; `None` when it selects none by design.
pub(crate) fn selected(snapshot: &dyn Snapshot, service: &Object) -> Option<Vec<Arc<Object>>> {
    let selector = selector(service)?;
    let mut pods = snapshot.list(&PODS, service.namespace());
    pods.retain(|pod| selector.matches(&pod.labels()));
    Some(pods)
}

/// Whether a pod may stand behind a service: it has an address and has not ended.
pub(crate) fn has_place(pod: &Object) -> bool {
    !pod::is_terminal(pod) && !addresses(pod).is_empty()
}

fn addresses(pod: &Object) -> Vec<IpAddr> {
    let listed = pod
        .list_at(&["status", "podIPs"])
        .iter()
        .filter_map(|ip| ip.str_at(&["ip"]));
    let mut addresses: Vec<IpAddr> = listed.filter_map(|ip| ip.parse().ok()).collect();
    if addresses.is_empty() {
        addresses.extend(
            pod.str_at(&["status", "podIP"])
                .and_then(|ip| ip.parse::<IpAddr>().ok()),
        );
    }
    addresses
}

/// A pod's address of a family.
pub(crate) fn address(pod: &Object, family: Family) -> Option<IpAddr> {
    addresses(pod)
        .into_iter()
        .find(|address| Family::of(*address) == family)
}

/// The address families of a service; read from its pods where the service does not say.
pub(crate) fn families(service: &Object, pods: &[Arc<Object>]) -> Vec<Family> {
    let read = |family: &Value| match family.as_str() {
        Some("IPv4") => Some(Family::V4),
        Some("IPv6") => Some(Family::V6),
        _ => None,
    };
    let families: Vec<Family> = service
        .list_at(&["spec", "ipFamilies"])
        .iter()
        .filter_map(read)
        .collect();
    if !families.is_empty() {
        return families;
    }
    let own = service
        .str_at(&["spec", "clusterIP"])
        .and_then(|ip| ip.parse().ok());
    let any = own.or_else(|| pods.iter().find_map(|pod| addresses(pod).first().copied()));
    vec![any.map_or(Family::V4, Family::of)]
}

/// The number behind a service port on a pod; `None` when the pod has no port of that name.
pub(crate) fn target_port(pod: &Object, port: &Value) -> Option<i64> {
    match port.at(&["targetPort"]) {
        Some(Value::Number(number)) if number.as_i64() != Some(0) => number.as_i64(),
        Some(Value::String(name)) if !name.is_empty() => {
            let protocol = port.str_at(&["protocol"]).unwrap_or("TCP");
            let sidecars = pod
                .list_at(&["spec", "initContainers"])
                .iter()
                .filter(|container| container.str_at(&["restartPolicy"]) == Some("Always"));
            let containers = pod.list_at(&["spec", "containers"]).iter().chain(sidecars);
            let mut ports = containers.flat_map(|container| container.list_at(&["ports"]));
            let named = ports.find(|known| {
                known.str_at(&["name"]) == Some(name)
                    && known.str_at(&["protocol"]).unwrap_or("TCP") == protocol
            });
            named.and_then(|known| known.int_at(&["containerPort"]))
        }
        _ => port.int_at(&["port"]),
    }
}

/// The host name under which a pod is known in a headless service's domain.
pub(crate) fn hostname(pod: &Object, service: &Object) -> Option<String> {
    let hostname = pod
        .str_at(&["spec", "hostname"])
        .filter(|hostname| !hostname.is_empty())?;
    let is_of_service = pod.str_at(&["spec", "subdomain"]) == Some(service.name());
    is_of_service.then(|| hostname.to_owned())
}

/// Whether a service has no cluster address.
pub(crate) fn is_headless(service: &Object) -> bool {
    matches!(
        service.str_at(&["spec", "clusterIP"]),
        None | Some("" | "None")
    )
}
