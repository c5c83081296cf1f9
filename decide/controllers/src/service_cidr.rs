//! A ServiceCIDR is ready as soon as it is there, and once it is deleted stays as long as an address is in it alone.
//!
//! Source: `pkg/controller/servicecidrs`.
//!
//! DIFFERS: upstream waits ten seconds before the last of a ServiceCIDR goes, until all allocators know. Here a deleted one
//! gives no address from the moment on that it is.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use meta::cidr::Cidr;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{edited, update};
use crate::claim;
use crate::condition;
use crate::controller::{Controller, Decision, Status};
use crate::resources::{IP_ADDRESSES, SERVICE_CIDRS};
use crate::service_address::is_ours;
use crate::snapshot::Snapshot;

/// Keeps a ServiceCIDR. Source: `ServiceCIDRProtectionFinalizer`.
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// Source: `networking/v1 ServiceCIDRConditionReady`.
const READY: &str = "Ready";

/// The controller of the ranges of cluster IPs.
#[derive(Debug)]
pub struct ServiceCidr;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The range.
    pub cidr: Arc<Object>,
    /// All others.
    pub others: Vec<Arc<Object>>,
    /// Addresses of Services; none is looked at before the range is deleted.
    pub addresses: Vec<Arc<Object>>,
}

impl Controller for ServiceCidr {
    type Observed = Observed;
    const NAME: &'static str = "service-cidr-controller";
    const SUBJECT: Resource = SERVICE_CIDRS;
    const WATCHES: &'static [Resource] = &[SERVICE_CIDRS, IP_ADDRESSES];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        let known = snapshot.list(&SERVICE_CIDRS, "").into_iter();
        let known = known.filter(|cidr| cidr.deletion_timestamp().is_some());
        let mut keys: Vec<Key> = known.map(|cidr| cidr.key()).collect();
        if *resource == SERVICE_CIDRS && !keys.contains(&object.key()) {
            keys.push(object.key());
        }
        keys
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let cidr = snapshot.get(&SERVICE_CIDRS, key)?;
        let mut others = snapshot.list(&SERVICE_CIDRS, "");
        others.retain(|other| other.name() != cidr.name());
        let is_deleted = cidr.deletion_timestamp().is_some();
        let mut addresses = Vec::new();
        if is_deleted {
            addresses = snapshot.list(&IP_ADDRESSES, "");
            addresses.retain(|address| is_ours(address));
        }
        Some(Observed {
            cidr,
            others,
            addresses,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let cidr = &seen.cidr;
        let has_finalizer = cidr.finalizers().contains(&FINALIZER);
        let is_deleted = cidr.deletion_timestamp().is_some();
        if is_deleted && !is_needed(seen) {
            if has_finalizer {
                let free = edited(cidr, |cidr| claim::let_go(cidr, FINALIZER));
                decision.actions.extend(update(&SERVICE_CIDRS, cidr, &free));
            }
            return decision;
        }
        if !is_deleted && !has_finalizer {
            let kept = edited(cidr, |cidr| claim::hold(cidr, FINALIZER));
            decision.actions.extend(update(&SERVICE_CIDRS, cidr, &kept));
        }
        decision.status = Some(Status {
            resource: SERVICE_CIDRS,
            seen: Arc::clone(cidr),
            status: status(cidr, is_deleted, now),
        });
        decision
    }
}

/// The status with its condition.
fn status(cidr: &Object, is_deleted: bool, now: Timestamp) -> Value {
    let (value, reason, message) = if is_deleted {
        let why = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
        ("False", "Terminating", why)
    } else {
        ("True", "", "Kubernetes Service CIDR is ready")
    };
    let mut status = cidr.at(&["status"]).cloned().unwrap_or_else(|| json!({}));
    let known = condition::find(&status, READY);
    let is_so = known.is_some_and(|known| {
        known.str_at(&["status"]) == Some(value)
            && known.str_at(&["reason"]).unwrap_or_default() == reason
            && known.str_at(&["message"]) == Some(message)
    });
    if !is_so {
        let condition = json!({"type": READY, "status": value, "reason": reason, "message": message,
            "lastTransitionTime": meta::time::to_rfc3339(now)});
        condition::put(&mut status, condition);
    }
    status
}

/// Whether an address of a Service would be in no range without this one. Source: `canDeleteCIDR`.
fn is_needed(seen: &Observed) -> bool {
    let own = blocks(&seen.cidr);
    let others: Vec<Cidr> = seen.others.iter().flat_map(|other| blocks(other)).collect();
    let has_parent = |block: &Cidr| others.iter().any(|other| other.covers(block));
    if own.iter().all(has_parent) {
        return false;
    }
    let addresses = seen.addresses.iter();
    let mut addresses = addresses.filter_map(|address| address.name().parse::<IpAddr>().ok());
    addresses.any(|address| {
        own.iter().any(|block| block.holds(address))
            && !others.iter().any(|block| block.holds(address))
    })
}

fn blocks(cidr: &Object) -> Vec<Cidr> {
    let texts = cidr.list_at(&["spec", "cidrs"]).iter();
    texts
        .filter_map(|text| Cidr::parse(text.as_str()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, time};

    fn range(name: &str, cidr: &str) -> Object {
        json!({ "metadata": { "name": name }, "spec": { "cidrs": [cidr] } })
    }

    fn address(name: &str) -> Object {
        json!({ "metadata": { "name": name, "labels": { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io" } } })
    }

    fn key() -> Key {
        Key::new("", "more")
    }

    fn settle(world: &mut World) {
        world.settle::<ServiceCidr>(&key(), time(7));
    }

    fn delete(world: &mut World) {
        let mut cidr = Object::clone(&world.get(&SERVICE_CIDRS, &key()).unwrap());
        cidr.set(
            &["metadata", "deletionTimestamp"],
            time(8).to_string().into(),
        );
        world.put(&SERVICE_CIDRS, cidr);
        settle(world);
    }

    fn ready(world: &World) -> Value {
        world.get(&SERVICE_CIDRS, &key()).unwrap()["status"]["conditions"][0].clone()
    }

    fn is_kept(world: &World) -> bool {
        let cidr = world.get(&SERVICE_CIDRS, &key());
        cidr.is_some_and(|cidr| !cidr.finalizers().is_empty())
    }

    #[test]
    fn a_range_is_ready_and_kept() {
        let mut world = World::new([(SERVICE_CIDRS, range("more", "10.1.0.0/24"))]);
        settle(&mut world);
        assert!(is_kept(&world));
        assert_eq!(
            ready(&world),
            json!({"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready",
                "lastTransitionTime": time(7).to_string()})
        );
        assert!(world.settle::<ServiceCidr>(&key(), time(9)).is_empty());
    }

    #[test]
    fn a_deleted_range_waits_for_the_addresses_that_are_in_it_alone() {
        let mut world = World::new([
            (SERVICE_CIDRS, range("more", "10.1.0.0/24")),
            (SERVICE_CIDRS, range("kubernetes", "10.96.0.0/12")),
            (IP_ADDRESSES, address("10.1.0.9")),
            (IP_ADDRESSES, address("10.96.0.1")),
        ]);
        settle(&mut world);
        delete(&mut world);
        assert!(is_kept(&world));
        assert_eq!(ready(&world)["reason"], "Terminating");
        let ip = Key::new("", "10.1.0.9");
        let gone = world.get(&IP_ADDRESSES, &ip).unwrap();
        assert_eq!(ServiceCidr::concerns(&world, &IP_ADDRESSES, &gone), [key()]);
        world.remove(&IP_ADDRESSES, &ip);
        settle(&mut world);
        assert!(!is_kept(&world));
    }

    #[test]
    fn a_deleted_range_within_another_goes_at_once() {
        for outer in ["10.1.0.0/16", "10.1.0.0/24"] {
            let mut world = World::new([
                (SERVICE_CIDRS, range("more", "10.1.0.0/24")),
                (SERVICE_CIDRS, range("outer", outer)),
                (IP_ADDRESSES, address("10.1.0.9")),
            ]);
            settle(&mut world);
            delete(&mut world);
            assert!(!is_kept(&world), "{outer}");
        }
    }
}
