//! Endpoints objects, the older form of endpoint slices, for clients that still read them.
//!
//! Source: `pkg/controller/endpoint`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, edited, update};
use crate::controller::{Controller, Decision};
use crate::pod;
use crate::resources::{ENDPOINTS, PODS, SERVICES};
use crate::service;
use crate::snapshot::Snapshot;

/// Most addresses in one object. Source: `endpoints_controller.go`, `maxCapacity`.
const ADDRESSES_MAX: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY_LABEL: &str = "endpoints.kubernetes.io/managed-by";
const MANAGED_BY: &str = "endpoint-controller";

/// The endpoints controller.
#[derive(Debug)]
pub struct Endpoints;

/// What its decision depends on.
#[derive(Debug)]
pub enum Observed {
    /// A service and what belongs to it.
    Service(Selected),
    /// An object of ours whose service is gone.
    LeftOver(Arc<Object>),
}

/// A service and what belongs to it.
#[derive(Debug)]
pub struct Selected {
    /// The service, which has a selector.
    pub service: Arc<Object>,
    /// The pods it selects.
    pub pods: Vec<Arc<Object>>,
    /// Its endpoints object.
    pub endpoints: Option<Arc<Object>>,
}

impl Controller for Endpoints {
    type Observed = Observed;
    const NAME: &'static str = "endpoint-controller";
    const SUBJECT: Resource = SERVICES;
    const WATCHES: &'static [Resource] = &[SERVICES, PODS, ENDPOINTS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == PODS {
            service::selecting(snapshot, object)
        } else {
            vec![object.key()]
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let endpoints = snapshot.get(&ENDPOINTS, key);
        let Some(service) = snapshot.get(&SERVICES, key) else {
            let is_ours = |one: &Arc<Object>| one.label(MANAGED_BY_LABEL) == Some(MANAGED_BY);
            return endpoints.filter(is_ours).map(Observed::LeftOver);
        };
        let pods = service::selected(snapshot, &service)?;
        Some(Observed::Service(Selected {
            service,
            pods,
            endpoints,
        }))
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let seen = match seen {
            Observed::Service(seen) => seen,
            Observed::LeftOver(endpoints) => {
                decision.actions.push(removal(endpoints));
                return decision;
            }
        };
        if seen.service.deletion_timestamp().is_some() {
            return decision;
        }
        let (subsets, is_truncated) = subsets(seen);
        let describe = |object: &mut Object| {
            object.set(&["metadata", "labels"], labels(&seen.service));
            if subsets.is_empty() {
                object.remove(&["subsets"]);
            } else {
                object.set(&["subsets"], Value::Array(subsets));
            }
            if is_truncated {
                let annotation = ["metadata", "annotations", OVER_CAPACITY];
                object.set(&annotation, "truncated".into());
            } else {
                object.remove(&["metadata", "annotations", OVER_CAPACITY]);
            }
        };
        if let Some(known) = &seen.endpoints {
            let right = edited(known, describe);
            decision.actions.extend(update(&ENDPOINTS, known, &right));
        } else {
            let mut object = json!({
                "apiVersion": "v1", "kind": "Endpoints",
                "metadata": { "name": seen.service.name(), "namespace": seen.service.namespace() },
            });
            describe(&mut object);
            decision.actions.push(Action::Create {
                resource: ENDPOINTS,
                object,
                report: None,
            });
        }
        decision
    }
}

fn removal(endpoints: &Object) -> Action {
    Action::Delete {
        resource: ENDPOINTS,
        key: endpoints.key(),
        uid: endpoints.uid().to_owned(),
        resource_version: None,
        grace_seconds: None,
        propagation: None,
        report: None,
    }
}

fn labels(service: &Object) -> Value {
    let mut labels = service
        .at(&["metadata", "labels"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    labels.set(&[MANAGED_BY_LABEL], MANAGED_BY.into());
    if service::is_headless(service) {
        labels.set(&[service::HEADLESS_LABEL], "".into());
    } else {
        labels.remove(&[service::HEADLESS_LABEL]);
    }
    labels
}

/// Ready addresses, other addresses, ports.
type Group = (Vec<Value>, Vec<Value>, Vec<Value>);

/// The addresses that share each set of ports, and whether some were left out.
fn subsets(seen: &Selected) -> (Vec<Value>, bool) {
    let family = service::families(&seen.service, &seen.pods)
        .into_iter()
        .next();
    let publishes = seen.service.bool_at(&["spec", "publishNotReadyAddresses"]) == Some(true);
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let (mut count, mut is_truncated) = (0, false);
    for pod in seen.pods.iter().filter(|pod| service::has_place(pod)) {
        if pod.deletion_timestamp().is_some() && !publishes {
            continue;
        }
        let Some(ip) = family.and_then(|family| service::address(pod, family)) else {
            continue;
        };
        let ports = ports(&seen.service, pod);
        if ports.is_empty() && !seen.service.list_at(&["spec", "ports"]).is_empty() {
            continue;
        }
        if count == ADDRESSES_MAX {
            is_truncated = true;
            break;
        }
        count += 1;
        let mut address = json!({
            "ip": ip.to_string(), "nodeName": pod::node_name(pod),
            "targetRef": { "kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid() },
        });
        if let Some(hostname) = service::hostname(pod, &seen.service) {
            address.set(&["hostname"], hostname.into());
        }
        let group = groups
            .entry(Value::Array(ports.clone()).to_string())
            .or_default();
        group.2 = ports;
        if publishes || pod::is_ready(pod) {
            group.0.push(address);
        } else {
            group.1.push(address);
        }
    }
    (groups.into_values().map(subset).collect(), is_truncated)
}

fn subset((ready, not_ready, ports): Group) -> Value {
    let mut subset = json!({});
    for (field, mut addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
        addresses.sort_by_key(|address| address.str_at(&["ip"]).unwrap_or_default().to_owned());
        if !addresses.is_empty() {
            subset.set(&[field], Value::Array(addresses));
        }
    }
    if !ports.is_empty() {
        subset.set(&["ports"], Value::Array(ports));
    }
    subset
}

fn ports(service: &Object, pod: &Object) -> Vec<Value> {
    let read = |port: &Value| {
        let mut out = json!({
            "port": service::target_port(pod, port)?,
            "protocol": port.str_at(&["protocol"]).unwrap_or("TCP"),
        });
        for field in ["name", "appProtocol"] {
            if let Some(value) = port.str_at(&[field]).filter(|value| !value.is_empty()) {
                out.set(&[field], value.into());
            }
        }
        Some(out)
    };
    service
        .list_at(&["spec", "ports"])
        .iter()
        .filter_map(read)
        .collect()
}
