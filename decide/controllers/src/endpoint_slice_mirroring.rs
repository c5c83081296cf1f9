//! Endpoint slices of services without a selector: they say what somebody wrote into the service's Endpoints.
//!
//! Left out: slices whose Endpoints are gone, which the garbage collector removes.
//!
//! Source: `pkg/controller/endpointslicemirroring`, `pkg/api/v1/endpoints/util.go`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Event, Reference, controller_reference, delete, edited, update};
use crate::controller::{Controller, Decision};
use crate::endpoint_slice::{MANAGED_BY_LABEL, SERVICE_LABEL};
use crate::resources::{ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use crate::service::Family;
use crate::snapshot::Snapshot;

#[cfg(test)]
mod tests;

/// Most addresses of one subset that are mirrored. Source: `--mirroring-max-endpoints-per-subset`.
const ADDRESSES_MAX: usize = 1000;
const MANAGED_BY: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that are about the Endpoints alone.
const OWN_ANNOTATIONS: [&str; 2] = [
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// The controller of mirrored endpoint slices.
#[derive(Debug)]
pub struct EndpointSliceMirroring;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The Endpoints.
    pub endpoints: Arc<Object>,
    /// Whether they are to be mirrored.
    pub is_mirrored: bool,
    /// Their slices that this controller manages.
    pub slices: Vec<Arc<Object>>,
}

impl Controller for EndpointSliceMirroring {
    type Observed = Observed;
    const NAME: &'static str = "endpoint-slice-mirroring-controller";
    const SUBJECT: Resource = ENDPOINTS;
    const WATCHES: &'static [Resource] = &[ENDPOINTS, SERVICES, ENDPOINT_SLICES];

    fn concerns(_: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource != ENDPOINT_SLICES {
            return vec![object.key()];
        }
        let service = object.label(SERVICE_LABEL).filter(|_| is_ours(object));
        let key = service.map(|name| Key::new(object.namespace(), name));
        key.into_iter().collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let endpoints = snapshot.get(&ENDPOINTS, key)?;
        let service = snapshot.get(&SERVICES, key);
        let is_mirrored =
            service.is_some_and(|service| !has_selector(&service)) && is_open(&endpoints);
        // Few are mirrored: only for those it is worth looking for slices of Endpoints that had the name before.
        let mut slices = if is_mirrored {
            let mut named = snapshot.list(&ENDPOINT_SLICES, &key.namespace);
            named.retain(|slice| slice.label(SERVICE_LABEL) == Some(&*key.name));
            named
        } else {
            snapshot.controlled_by(&ENDPOINT_SLICES, endpoints.uid())
        };
        slices.retain(|slice| is_ours(slice));
        (is_mirrored || !slices.is_empty()).then_some(Observed {
            endpoints,
            is_mirrored,
            slices,
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let mut left: Vec<&Arc<Object>> = seen.slices.iter().collect();
        let mut new = Vec::new();
        let (groups, skipped) = if seen.is_mirrored {
            wanted(&seen.endpoints)
        } else {
            (Vec::new(), 0)
        };
        for group in groups {
            let own = left.iter().position(|slice| group.is_in(slice));
            match own.map(|at| left.remove(at)) {
                Some(slice) => decision.actions.extend(group.update(seen, slice)),
                None => new.push(group),
            }
        }
        if seen.endpoints.deletion_timestamp().is_some() {
            new.clear();
        }
        for group in new {
            // One that is not needed any more is made into one that is.
            let spare = left.iter().position(|slice| group.family.is_of(slice));
            match spare.map(|at| left.remove(at)) {
                Some(slice) => decision.actions.extend(group.update(seen, slice)),
                None => decision.actions.push(group.create(seen)),
            }
        }
        let gone = left
            .into_iter()
            .map(|slice| delete(&ENDPOINT_SLICES, slice));
        decision.actions.extend(gone);
        if skipped > 0 && !decision.actions.is_empty() {
            let about = Reference::new(&ENDPOINTS, &seen.endpoints);
            let message = format!(
                "A max of {ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
            );
            let event = Event::warning(about, "TooManyAddressesToMirror", message);
            decision.actions.push(Action::Event(event));
        }
        decision
    }
}

fn is_ours(slice: &Object) -> bool {
    slice.label(MANAGED_BY_LABEL) == Some(MANAGED_BY)
}

fn has_selector(service: &Object) -> bool {
    let selector = service.at(&["spec", "selector"]).and_then(Value::as_object);
    selector.is_some_and(|selector| !selector.is_empty())
}

/// Whether nothing in the Endpoints says that they are not to be mirrored.
fn is_open(endpoints: &Object) -> bool {
    let leader = endpoints.at(&["metadata", "annotations", LEADER_ANNOTATION]);
    endpoints.label(SKIP_LABEL) != Some("true") && leader.is_none()
}

impl Family {
    fn is_of(self, slice: &Object) -> bool {
        slice.str_at(&["addressType"]) == Some(self.address_type())
    }
}

/// What stands in one slice.
struct Group {
    family: Family,
    ports: Vec<Value>,
    endpoints: Vec<Value>,
}

impl Group {
    /// Whether a slice has the family and the ports of this group.
    fn is_in(&self, slice: &Object) -> bool {
        self.family.is_of(slice) && sorted(slice.list_at(&["ports"])) == sorted(&self.ports)
    }

    fn update(&self, seen: &Observed, slice: &Arc<Object>) -> Option<Action> {
        let right = edited(slice, |slice| self.describe(seen, slice));
        update(&ENDPOINT_SLICES, slice, &right)
    }

    fn create(&self, seen: &Observed) -> Action {
        let endpoints = &seen.endpoints;
        let mut object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "generateName": format!("{}-", endpoints.name()),
                "namespace": endpoints.namespace(),
            },
            "addressType": self.family.address_type(),
        });
        self.describe(seen, &mut object);
        Action::Create {
            resource: ENDPOINT_SLICES,
            object,
            report: None,
        }
    }

    fn describe(&self, seen: &Observed, slice: &mut Object) {
        let endpoints = &seen.endpoints;
        let owned = |field| {
            let copy = endpoints.at(&["metadata", field]).cloned();
            copy.unwrap_or_else(|| json!({}))
        };
        let mut labels = owned("labels");
        labels.set(&[SERVICE_LABEL], endpoints.name().into());
        labels.set(&[MANAGED_BY_LABEL], MANAGED_BY.into());
        let mut annotations = owned("annotations");
        for name in OWN_ANNOTATIONS {
            annotations.remove(&[name]);
        }
        slice.set(&["metadata", "labels"], labels);
        if annotations.as_object().is_some_and(|all| !all.is_empty()) {
            slice.set(&["metadata", "annotations"], annotations);
        } else {
            slice.remove(&["metadata", "annotations"]);
        }
        let owner = controller_reference(&ENDPOINTS, endpoints);
        slice.set(&["metadata", "ownerReferences"], json!([owner]));
        slice.set(&["ports"], Value::Array(self.ports.clone()));
        slice.set(&["endpoints"], Value::Array(self.endpoints.clone()));
    }
}

fn sorted(ports: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = ports.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

/// An address, and whether it is ready, by its text and the uid of what it points to.
type Addresses = BTreeMap<(String, String), (bool, Value)>;

/// The slices that should be there, and how many addresses they leave out.
///
/// Subsets with the same addresses are one, whose ports are those of all; of an address that is both ready and not, the
/// latter holds. Source: `RepackSubsets`.
fn wanted(endpoints: &Object) -> (Vec<Group>, usize) {
    let mut by_port: BTreeMap<Option<String>, (Option<Value>, Addresses)> = BTreeMap::new();
    for subset in endpoints.list_at(&["subsets"]) {
        let ports = subset
            .list_at(&["ports"])
            .iter()
            .map(|port| Some(port_of(port)));
        let none = subset.list_at(&["ports"]).is_empty().then_some(None);
        for port in ports.chain(none) {
            let key = port.as_ref().map(Value::to_string);
            let (_, known) = by_port
                .entry(key)
                .or_insert_with(|| (port, Addresses::new()));
            add(known, subset);
        }
    }
    let mut by_addresses: BTreeMap<String, (Vec<Value>, Addresses)> = BTreeMap::new();
    for (port, addresses) in by_port.into_values() {
        let states = addresses
            .iter()
            .map(|(name, (is_ready, _))| (name, is_ready));
        let key = format!("{:?}", states.collect::<Vec<_>>());
        let (ports, _) = by_addresses
            .entry(key)
            .or_insert_with(|| (Vec::new(), addresses));
        ports.extend(port);
    }
    let mut groups = Vec::new();
    let mut skipped = 0;
    for (ports, addresses) in by_addresses.into_values() {
        let (ready, others): (Vec<_>, Vec<_>) =
            addresses.into_values().partition(|(is_ready, _)| *is_ready);
        let valid: Vec<(Family, Value)> = ready
            .iter()
            .chain(&others)
            .filter_map(endpoint_of)
            .collect();
        skipped += valid.len().saturating_sub(ADDRESSES_MAX);
        for family in [Family::V4, Family::V6] {
            let own = valid
                .iter()
                .take(ADDRESSES_MAX)
                .filter(|(of, _)| *of == family);
            let endpoints: Vec<Value> = own.map(|(_, endpoint)| endpoint.clone()).collect();
            if !endpoints.is_empty() {
                let ports = ports.clone();
                groups.push(Group {
                    family,
                    ports,
                    endpoints,
                });
            }
        }
    }
    (groups, skipped)
}

fn add(known: &mut Addresses, subset: &Value) {
    for (field, is_ready) in [("addresses", true), ("notReadyAddresses", false)] {
        for address in subset.list_at(&[field]) {
            let text = |path: &[&str]| address.str_at(path).unwrap_or_default().to_owned();
            let name = (text(&["ip"]), text(&["targetRef", "uid"]));
            let (state, _) = known
                .entry(name)
                .or_insert_with(|| (is_ready, address.clone()));
            *state &= is_ready;
        }
    }
}

fn port_of(port: &Value) -> Value {
    let mut out = json!({
        "name": port.str_at(&["name"]).unwrap_or_default(),
        "port": port.int_at(&["port"]),
        "protocol": port.str_at(&["protocol"]).unwrap_or("TCP"),
    });
    if let Some(protocol) = port.at(&["appProtocol"]) {
        out.set(&["appProtocol"], protocol.clone());
    }
    out
}

/// An address as slices have it; `None` for one that is no IP address.
fn endpoint_of((is_ready, address): &(bool, Value)) -> Option<(Family, Value)> {
    let ip: IpAddr = address.str_at(&["ip"])?.parse().ok()?;
    let ip = ip.to_canonical();
    let mut endpoint =
        json!({ "addresses": [ip.to_string()], "conditions": { "ready": is_ready } });
    for field in ["targetRef", "nodeName", "hostname"] {
        if let Some(value) = address.at(&[field]).filter(|value| **value != "") {
            endpoint.set(&[field], value.clone());
        }
    }
    Some((Family::of(ip), endpoint))
}
