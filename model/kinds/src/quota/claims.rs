//! What claims for devices use, and the extended resources that device classes stand for.
//!
//! Source: `pkg/quota/v1/evaluator/core/resource_claims.go`, `deviceclass/extendedresourcecache`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::quantity::Quantity;
use meta::{Object, ObjectExt};
use serde_json::Value;

use super::{CLAIMS, DEVICE_CLASSES, pods};
use crate::amounts::{Amounts, count};
use crate::strategy::Lookup;

/// What the name of a limit on the devices of one class ends with. Source: `ResourceClaimsPerClass`.
pub(super) const DEVICES_OF_CLASS: &str = ".deviceclass.resource.k8s.io/devices";
/// What the name of a limit on the devices of one class starts with when pods ask for them as extended resources.
/// Source: `ResourceImplicitExtendedClaimsPerClass`.
pub(super) const IMPLICIT: &str = "requests.deviceclass.resource.kubernetes.io/";
/// Devices that a request for all of them is charged with. Source: `AllocationResultsMaxSize`.
const ALL_DEVICES: i64 = 32;
/// Marks a claim that was made for the extended resources of a pod. Source: `ExtendedResourceClaimAnnotation`.
const EXTENDED: &str = "resource.kubernetes.io/extended-resource-claim";

/// Device classes, with the extended resources they are known as.
#[derive(Debug, Default)]
pub(super) struct Classes(BTreeMap<String, Option<String>>);

impl Classes {
    /// Those that the cluster has.
    pub(super) fn of(cluster: &dyn Lookup) -> Self {
        let classes = cluster.list(DEVICE_CLASSES, "");
        let named = classes.iter().map(|class| {
            let extended = class.str_at(&["spec", "extendedResourceName"]);
            (class.name().to_owned(), extended.map(str::to_owned))
        });
        Self(named.collect())
    }
    fn extended(&self, class: &str) -> Option<&str> {
        self.0.get(class)?.as_deref()
    }
    /// Whether a limit on requests is one on devices of a class.
    pub(super) fn are_limited_by(&self, name: &str) -> bool {
        if let Some(class) = name.strip_prefix(IMPLICIT) {
            return self.0.contains_key(class);
        }
        let resource = name.strip_prefix("requests.");
        resource.is_some_and(|name| self.0.values().flatten().any(|known| known == name))
    }
}

/// Adds what a claim uses beyond being there.
pub(super) fn add_usage(
    used: &mut Amounts,
    claim: &Object,
    classes: &Classes,
    cluster: &dyn Lookup,
    now: Timestamp,
) {
    let mut devices: BTreeMap<&str, i64> = BTreeMap::new();
    for request in claim.list_at(&["spec", "devices", "requests"]) {
        for (class, number) in worst(request) {
            *devices.entry(class).or_default() += number;
        }
    }
    let mut extended: BTreeMap<String, Quantity> = BTreeMap::new();
    for (class, number) in devices {
        let number = count(usize::try_from(number).unwrap_or_default());
        used.insert(format!("{class}{DEVICES_OF_CLASS}"), number);
        if !class.is_empty() {
            extended.insert(format!("{IMPLICIT}{class}"), number);
        }
        if let Some(name) = classes.extended(class) {
            extended.insert(format!("requests.{name}"), number);
        }
    }
    let charged = pod_of(claim, cluster)
        .map(|pod| pods::usage(&pod, now))
        .unwrap_or_default();
    for (name, number) in extended {
        let more = charged
            .get(&name)
            .map_or(number, |charged| number.sub(charged));
        if !more.is_zero() && !more.is_negative() {
            used.insert(name, more);
        }
    }
}

/// The most devices of each class that a request may be given.
fn worst(request: &Value) -> BTreeMap<&str, i64> {
    let mut worst = BTreeMap::new();
    let first = request.list_at(&["firstAvailable"]);
    for choice in first {
        let number = devices(choice);
        if number > 0 {
            let most = worst.entry(class_of(choice)).or_default();
            *most = number.max(*most);
        }
    }
    if first.is_empty()
        && let Some(exactly) = request.at(&["exactly"])
    {
        worst.insert(class_of(exactly), devices(exactly));
    }
    worst
}

fn class_of(request: &Value) -> &str {
    request.str_at(&["deviceClassName"]).unwrap_or_default()
}

fn devices(request: &Value) -> i64 {
    match request.str_at(&["allocationMode"]) {
        Some("ExactCount") => request.int_at(&["count"]).unwrap_or_default(),
        Some("All") => ALL_DEVICES,
        _ => 0,
    }
}

/// The pod whose extended resources a claim is made for, which is charged for them already.
fn pod_of(claim: &Object, cluster: &dyn Lookup) -> Option<Arc<Object>> {
    let owner = owner_of_extended(claim)?;
    let name = owner.str_at(&["name"])?;
    let pod = cluster.get("pods", claim.namespace(), name)?;
    if owner.str_at(&["uid"]) != Some(pod.uid()) {
        return None;
    }
    let is_its = match pod.at(&["status", "extendedResourceClaimStatus"]) {
        Some(status) => status.str_at(&["resourceClaimName"]) == Some(claim.name()),
        None => is_first(claim, pod.uid(), cluster),
    };
    is_its.then_some(pod)
}

/// Whether no claim was made earlier for the extended resources of the same pod.
fn is_first(claim: &Object, pod: &str, cluster: &dyn Lookup) -> bool {
    let age = |claim: &Object| {
        let made = claim.str_at(&["metadata", "creationTimestamp"]);
        (made.map(str::to_owned), claim.name().to_owned())
    };
    let is_of_pod = |other: &Object| {
        let owner = owner_of_extended(other);
        owner.is_some_and(|owner| owner.str_at(&["uid"]) == Some(pod))
    };
    let others = cluster.list(CLAIMS, claim.namespace());
    let mut others = others.iter().filter(|other| is_of_pod(other));
    others.all(|other| age(other) >= age(claim))
}

/// The pod that owns a claim made for extended resources.
fn owner_of_extended(claim: &Object) -> Option<&Value> {
    let owner = claim.controller()?;
    let is_pod =
        owner.str_at(&["kind"]) == Some("Pod") && owner.str_at(&["apiVersion"]) == Some("v1");
    (is_pod && claim.annotation(EXTENDED) == Some("true")).then_some(owner)
}
