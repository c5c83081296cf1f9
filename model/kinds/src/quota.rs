//! Resource quotas: what an object uses, and what a namespace uses of everything a quota limits.
//!
//! Admission and the quota controller count with the same rules. Nothing is kept: usage is counted from the objects.
//!
//! Source: `pkg/quota/v1/evaluator/core`, apiserver `quota/v1`.

mod pods;
mod scope;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use meta::{Object, ObjectExt};

use crate::amounts::{Amounts, add, amounts, count, quantity};

pub use pods::{named, over_at};
pub use scope::{is_terminating, matches};

const CLAIM_OF_CLASS: &str = ".storageclass.storage.k8s.io/persistentvolumeclaims";
const STORAGE_OF_CLASS: &str = ".storageclass.storage.k8s.io/requests.storage";
const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Resources that are counted under their bare name too.
const ALIASES: [&str; 4] = [
    "configmaps",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
];
/// Limits on what pods use. Source: `pkg/quota/v1/evaluator/core/pods.go` `podResources`.
const OF_PODS: [&str; 10] = [
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "pods",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// What a quota's namespace uses of everything the quota limits.
///
/// `list` gives the objects of a resource (`plural` or `plural.group`) in that namespace; limits on resources for
/// which it gives `None`, and limits that nothing is counted for, are left out.
pub fn usage<O: Borrow<Object>>(
    quota: &Object,
    list: impl Fn(&str) -> Option<Vec<O>>,
    now: Timestamp,
) -> Amounts {
    let hard = amounts(quota.at(&["spec", "hard"]));
    let mut by_resource: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
    for name in hard.keys() {
        if let Some(resource) = resource_of(name) {
            by_resource.entry(resource).or_default().insert(name);
        }
    }
    let mut used = Amounts::new();
    for (resource, names) in by_resource {
        let Some(objects) = list(&resource) else {
            continue;
        };
        used.extend(names.iter().map(|name| ((*name).clone(), count(0))));
        for object in &objects {
            let object = object.borrow();
            if matches(quota, &resource, object) {
                let mut own = usage_of(&resource, object, now);
                own.retain(|name, _| names.contains(name));
                add(&mut used, &own);
            }
        }
    }
    used
}

/// The resource whose objects a hard limit's name counts; `None` for a limit on nothing that is counted.
pub fn resource_of(name: &str) -> Option<String> {
    if let Some(resource) = name.strip_prefix("count/") {
        return Some(resource.to_owned());
    }
    if name == "services" || name.starts_with("services.") {
        return Some("services".to_owned());
    }
    let is_claim = name == "persistentvolumeclaims"
        || name == "requests.storage"
        || name.ends_with(CLAIM_OF_CLASS)
        || name.ends_with(STORAGE_OF_CLASS);
    if is_claim {
        return Some("persistentvolumeclaims".to_owned());
    }
    if ALIASES.contains(&name) {
        return Some(name.to_owned());
    }
    let is_extended = name.strip_prefix("requests.").is_some_and(|name| {
        name.starts_with("hugepages-") || name.contains('/') && !name.contains("kubernetes.io/")
    });
    let is_of_pods = OF_PODS.contains(&name) || name.starts_with("hugepages-") || is_extended;
    is_of_pods.then(|| "pods".to_owned())
}

/// What one object of a resource uses.
pub fn usage_of(resource: &str, object: &Object, now: Timestamp) -> Amounts {
    let mut used = Amounts::from([(format!("count/{resource}"), count(1))]);
    match resource {
        "pods" => pods::add_usage(&mut used, object, now),
        "persistentvolumeclaims" => add_claim(&mut used, object),
        "services" => add_service(&mut used, object),
        alias if ALIASES.contains(&alias) => {
            used.insert(alias.to_owned(), count(1));
        }
        _ => {}
    }
    used
}

fn add_claim(used: &mut Amounts, claim: &Object) {
    used.insert("persistentvolumeclaims".into(), count(1));
    let class = claim
        .annotation(LEGACY_CLASS)
        .or_else(|| claim.str_at(&["spec", "storageClassName"]));
    let class = class.filter(|class| !class.is_empty());
    if let Some(class) = class {
        used.insert(format!("{class}{CLAIM_OF_CLASS}"), count(1));
    }
    let storage = claim
        .at(&["spec", "resources", "requests", "storage"])
        .and_then(quantity);
    let allocated = claim
        .at(&["status", "allocatedResources", "storage"])
        .and_then(quantity);
    if let Some(storage) = storage {
        let storage = allocated.map_or(storage, |allocated| allocated.max(storage));
        used.insert("requests.storage".into(), storage);
        if let Some(class) = class {
            used.insert(format!("{class}{STORAGE_OF_CLASS}"), storage);
        }
    }
}

fn add_service(used: &mut Amounts, service: &Object) {
    let ports = service.list_at(&["spec", "ports"]);
    let given = ports
        .iter()
        .filter(|port| port.int_at(&["nodePort"]).is_some_and(|port| port != 0));
    let allocates = service.bool_at(&["spec", "allocateLoadBalancerNodePorts"]) != Some(false);
    let (node_ports, balancers) = match service.str_at(&["spec", "type"]) {
        Some("NodePort") => (ports.len(), 0),
        Some("LoadBalancer") if allocates => (ports.len(), 1),
        Some("LoadBalancer") => (given.count(), 1),
        _ => (0, 0),
    };
    used.extend(BTreeMap::from([
        ("services".to_owned(), count(1)),
        ("services.nodeports".to_owned(), count(node_ports)),
        ("services.loadbalancers".to_owned(), count(balancers)),
    ]));
}

#[cfg(test)]
mod tests;
