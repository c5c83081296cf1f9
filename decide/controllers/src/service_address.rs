//! An IPAddress for each cluster IP of a Service, and none without.
//!
//! Source: `pkg/registry/core/service/ipallocator`, its allocator and its `controller/repairip.go`.
//!
//! DIFFERS: upstream makes the IPAddress before the Service and repairs what does not match. Here the Services themselves
//! say which addresses are taken; their IPAddresses follow, and what does not match is made again without an event.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;

use crate::action::Action;
use crate::controller::{Controller, Decision};
use crate::resources::{IP_ADDRESSES, SERVICES};
use crate::service::{Family, is_headless};
use crate::snapshot::Snapshot;

/// Source: `networking/v1 LabelIPAddressFamily`.
const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";
/// Source: `networking/v1 LabelManagedBy`.
const MANAGED_BY_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
/// Source: `ipallocator ControllerName`.
const MANAGED_BY: &str = "ipallocator.k8s.io";

/// The controller of Services' addresses.
#[derive(Debug)]
pub struct ServiceAddress;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The address, as IPAddresses are named.
    pub ip: IpAddr,
    /// The Service that has it.
    pub service: Option<Key>,
    /// The object of that name.
    pub address: Option<Arc<Object>>,
}

impl Controller for ServiceAddress {
    type Observed = Observed;
    const NAME: &'static str = "service-ip-address-controller";
    const SUBJECT: Resource = IP_ADDRESSES;
    const WATCHES: &'static [Resource] = &[IP_ADDRESSES, SERVICES];

    fn concerns(_: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == IP_ADDRESSES {
            return vec![object.key()];
        }
        let ips = cluster_ips(object);
        ips.map(|ip| Key::new("", &ip.to_string())).collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let ip: IpAddr = key.name.parse().ok()?;
        let services = snapshot.list(&SERVICES, "");
        let has_it = |service: &&Arc<Object>| cluster_ips(service).any(|known| known == ip);
        Some(Observed {
            ip,
            service: services.iter().find(has_it).map(|service| service.key()),
            address: snapshot.get(&IP_ADDRESSES, key),
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut decision = Decision::default();
        match (&seen.service, &seen.address) {
            (Some(service), None) => decision.actions.push(Action::Create {
                resource: IP_ADDRESSES,
                object: address_of(seen.ip, service),
                report: None,
            }),
            (service, Some(address)) => {
                let refers = service
                    .as_ref()
                    .is_some_and(|service| refers_to(address, service));
                if is_ours(address) && !refers {
                    decision.actions.push(Action::Delete {
                        resource: IP_ADDRESSES,
                        key: address.key(),
                        uid: address.uid().to_owned(),
                        resource_version: None,
                        grace_seconds: None,
                        propagation: None,
                        report: None,
                    });
                }
            }
            (None, None) => {}
        }
        decision
    }
}

fn cluster_ips(service: &Object) -> impl Iterator<Item = IpAddr> {
    let listed = service.list_at(&["spec", "clusterIPs"]).iter();
    let listed = listed.filter(|_| !is_headless(service));
    listed.filter_map(|ip| ip.as_str().and_then(|ip| ip.parse().ok()))
}

fn address_of(ip: IpAddr, service: &Key) -> Object {
    json!({
        "apiVersion": IP_ADDRESSES.api_version(), "kind": "IPAddress",
        "metadata": {
            "name": ip.to_string(),
            "labels": {
                FAMILY_LABEL: Family::of(ip).address_type(),
                MANAGED_BY_LABEL: MANAGED_BY,
            },
        },
        "spec": { "parentRef": {
            "group": "", "resource": "services", "namespace": service.namespace, "name": service.name,
        }},
    })
}

fn refers_to(address: &Object, service: &Key) -> bool {
    let parent = |field| {
        address
            .str_at(&["spec", "parentRef", field])
            .unwrap_or_default()
    };
    parent("group").is_empty()
        && parent("resource") == "services"
        && parent("namespace") == service.namespace
        && parent("name") == service.name
}

/// Whether it was made for a Service; others are their makers' business.
pub(crate) fn is_ours(address: &Object) -> bool {
    address
        .labels()
        .get(MANAGED_BY_LABEL)
        .is_some_and(|by| by == MANAGED_BY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, time};

    fn service(ips: &[&str]) -> Object {
        json!({
            "metadata": { "name": "web", "namespace": "a" },
            "spec": { "clusterIP": ips[0], "clusterIPs": ips },
        })
    }

    #[test]
    fn every_cluster_ip_has_an_address_as_long_as_its_service() {
        let web = service(&["10.96.0.7", "fd00::7"]);
        let mut world = World::new([(SERVICES, web.clone())]);
        let keys = ServiceAddress::concerns(&world, &SERVICES, &web);
        assert_eq!(keys, [Key::new("", "10.96.0.7"), Key::new("", "fd00::7")]);
        for key in &keys {
            world.settle::<ServiceAddress>(key, time(0));
            let address = world.get(&IP_ADDRESSES, key).unwrap();
            assert_eq!(address["spec"]["parentRef"]["name"], "web");
        }
        assert_eq!(
            world.get(&IP_ADDRESSES, &keys[1]).unwrap().labels()[FAMILY_LABEL],
            "IPv6"
        );
        world.remove(&SERVICES, &web.key());
        for key in &keys {
            world.settle::<ServiceAddress>(key, time(0));
            assert!(world.get(&IP_ADDRESSES, key).is_none());
        }
    }

    #[test]
    fn a_headless_service_has_none_and_what_others_made_stays() {
        assert_eq!(cluster_ips(&service(&["None"])).count(), 0);
        let foreign = json!({ "metadata": { "name": "10.96.0.9" }, "spec": {} });
        let mut world = World::new([(IP_ADDRESSES, foreign)]);
        let key = Key::new("", "10.96.0.9");
        assert!(world.settle::<ServiceAddress>(&key, time(0)).is_empty());
    }
}
