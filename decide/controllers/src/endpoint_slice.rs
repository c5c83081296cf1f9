//! Endpoint slices: which addresses stand behind a service, and in what state.
//!
//! Source: `staging/src/k8s.io/endpointslice`, `pkg/controller/endpointslice`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, controller_reference, delete, edited, update};
use crate::controller::{Controller, Decision};
use crate::pod;
use crate::resources::{ENDPOINT_SLICES, NODES, PODS, SERVICES};
use crate::service::{self, Family};
use crate::snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// Most endpoints in one slice. Source: `--max-endpoints-per-slice`.
const ENDPOINTS_MAX: usize = 100;
/// Names the service of a slice. Source: `discovery/v1 LabelServiceName`.
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// Names the controller of a slice. Source: `discovery/v1 LabelManagedBy`.
pub(crate) const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGED_BY: &str = "endpointslice-controller.k8s.io";
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// The endpoint slice controller.
#[derive(Debug)]
pub struct EndpointSlice;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The service, which has a selector.
    pub service: Arc<Object>,
    /// The pods it selects.
    pub pods: Vec<Arc<Object>>,
    /// The zone of each node that has one.
    pub zones: BTreeMap<String, String>,
    /// Its slices that this controller manages.
    pub slices: Vec<Arc<Object>>,
}

impl Controller for EndpointSlice {
    type Observed = Observed;
    const NAME: &'static str = "endpoint-slice-controller";
    const SUBJECT: Resource = SERVICES;
    const WATCHES: &'static [Resource] = &[SERVICES, PODS, NODES, ENDPOINT_SLICES];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        match &*resource.kind {
            "Service" => vec![object.key()],
            "Pod" => service::selecting(snapshot, object),
            "EndpointSlice" => object
                .label(SERVICE_LABEL)
                .map(|name| Key::new(object.namespace(), name))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let service = snapshot.get(&SERVICES, key)?;
        let pods = service::selected(snapshot, &service)?;
        let mut slices = snapshot.controlled_by(&ENDPOINT_SLICES, service.uid());
        slices.retain(|slice| slice.label(MANAGED_BY_LABEL) == Some(MANAGED_BY));
        let zone = |pod: &Arc<Object>| {
            let name = pod::node_name(pod);
            let node = snapshot.get(&NODES, &Key::new("", name))?;
            Some((name.to_owned(), node.label(ZONE_LABEL)?.to_owned()))
        };
        let zones = pods.iter().filter_map(zone).collect();
        Some(Observed {
            service,
            pods,
            zones,
            slices,
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut decision = Decision::default();
        if seen.service.deletion_timestamp().is_some() {
            return decision;
        }
        let mut left: Vec<&Arc<Object>> = seen.slices.iter().collect();
        for (family, ports, endpoints) in wanted(seen) {
            let (ours, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|slice| {
                slice.str_at(&["addressType"]) == Some(family.address_type())
                    && slice.list_at(&["ports"]) == ports
            });
            left = others;
            decision
                .actions
                .extend(fill(seen, family, &ports, endpoints, &ours));
        }
        decision.actions.extend(
            left.into_iter()
                .map(|slice| delete(&ENDPOINT_SLICES, slice)),
        );
        decision
    }
}

type Group = (Family, Vec<Value>, BTreeMap<String, Value>);

/// The endpoints of each address family and set of ports, by the pod's uid.
fn wanted(seen: &Observed) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for family in service::families(&seen.service, &seen.pods) {
        let first = groups.len();
        for pod in seen.pods.iter().filter(|pod| service::has_place(pod)) {
            let Some(address) = service::address(pod, family) else {
                continue;
            };
            let ports = ports(&seen.service, pod);
            let at = groups
                .iter()
                .skip(first)
                .position(|(_, known, _)| *known == ports);
            let at = at.map_or(groups.len(), |at| at + first);
            if at == groups.len() {
                groups.push((family, ports, BTreeMap::new()));
            }
            if let Some((_, _, endpoints)) = groups.get_mut(at) {
                endpoints.insert(pod.uid().to_owned(), endpoint(seen, pod, address));
            }
        }
        if groups.len() == first {
            // A slice without endpoints says that somebody looked.
            groups.push((family, Vec::new(), BTreeMap::new()));
        }
    }
    groups
}

/// The service's ports as this pod serves them.
fn ports(service: &Object, pod: &Object) -> Vec<Value> {
    let read = |port: &Value| {
        let number = service::target_port(pod, port)?;
        let mut out = json!({
            "name": port.str_at(&["name"]).unwrap_or_default(),
            "port": number,
            "protocol": port.str_at(&["protocol"]).unwrap_or("TCP"),
        });
        if let Some(protocol) = port.at(&["appProtocol"]) {
            out.set(&["appProtocol"], protocol.clone());
        }
        Some(out)
    };
    service
        .list_at(&["spec", "ports"])
        .iter()
        .filter_map(read)
        .collect()
}

fn endpoint(seen: &Observed, pod: &Object, address: IpAddr) -> Value {
    let is_terminating = pod.deletion_timestamp().is_some();
    let is_serving = pod::is_ready(pod);
    let publishes = seen.service.bool_at(&["spec", "publishNotReadyAddresses"]) == Some(true);
    let mut endpoint = json!({
        "addresses": [address.to_string()],
        "conditions": {
            "ready": publishes || (is_serving && !is_terminating),
            "serving": is_serving, "terminating": is_terminating,
        },
        "targetRef": {
            "kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid(),
        },
    });
    let node = pod::node_name(pod);
    if !node.is_empty() {
        endpoint.set(&["nodeName"], node.into());
    }
    if let Some(zone) = seen.zones.get(node) {
        endpoint.set(&["zone"], zone.clone().into());
    }
    if let Some(hostname) = service::hostname(pod, &seen.service) {
        endpoint.set(&["hostname"], hostname.into());
    }
    endpoint
}

/// Puts the endpoints of one group into its slices: those that are there already stay where they are, gaps are
/// filled, and new slices are made only when all are full.
fn fill(
    seen: &Observed,
    family: Family,
    ports: &[Value],
    mut endpoints: BTreeMap<String, Value>,
    slices: &[&Arc<Object>],
) -> Vec<Action> {
    let mut filled: Vec<(&Arc<Object>, Vec<Value>)> = Vec::new();
    for slice in slices {
        let known = slice.list_at(&["endpoints"]).iter();
        let kept = known.filter_map(|endpoint| {
            endpoints.remove(endpoint.str_at(&["targetRef", "uid"]).unwrap_or_default())
        });
        filled.push((slice, kept.collect()));
    }
    let mut new: Vec<Value> = endpoints.into_values().collect();
    for (_, kept) in &mut filled {
        let room = ENDPOINTS_MAX.saturating_sub(kept.len()).min(new.len());
        kept.extend(new.drain(..room));
    }
    let mut actions = Vec::new();
    let is_all_empty = filled.iter().all(|(_, kept)| kept.is_empty());
    for (at, (slice, kept)) in filled.into_iter().enumerate() {
        // One empty slice stays as a sign when there is nothing else.
        if kept.is_empty() && !(is_all_empty && at == 0 && ports.is_empty()) {
            actions.push(delete(&ENDPOINT_SLICES, slice));
            continue;
        }
        let right = edited(slice, |slice| {
            slice.set(&["endpoints"], Value::Array(kept));
            slice.set(&["metadata", "labels"], labels(&seen.service));
        });
        actions.extend(update(&ENDPOINT_SLICES, slice, &right));
    }
    let is_missing = slices.is_empty() && new.is_empty();
    let chunks = new.chunks(ENDPOINTS_MAX).map(<[Value]>::to_vec);
    let chunks = chunks.chain(is_missing.then(Vec::new));
    actions.extend(chunks.map(|endpoints| Action::Create {
        resource: ENDPOINT_SLICES,
        object: json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "generateName": format!("{}-", seen.service.name()),
                "namespace": seen.service.namespace(),
                "labels": labels(&seen.service),
                "ownerReferences": [controller_reference(&SERVICES, &seen.service)],
            },
            "addressType": family.address_type(), "endpoints": endpoints, "ports": ports,
        }),
        report: None,
    }));
    actions
}

fn labels(service: &Object) -> Value {
    let mut labels = service
        .at(&["metadata", "labels"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    labels.set(&[SERVICE_LABEL], service.name().into());
    labels.set(&[MANAGED_BY_LABEL], MANAGED_BY.into());
    if service::is_headless(service) {
        labels.set(&[service::HEADLESS_LABEL], "".into());
    } else {
        labels.remove(&[service::HEADLESS_LABEL]);
    }
    labels
}
