//! Resource quotas: what an object uses, what a namespace uses, and whether one more write fits.
//!
//! Usage is counted from a snapshot when it is asked for, not kept. Quotas for devices (DRA) are not counted.
//!
//! Source: `pkg/quota/v1/evaluator/core`, apiserver `quota/v1`, admission `resourcequota`.

mod pods;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};

use crate::admission::Request;
use crate::amounts::{Amounts, add, amounts, count, print, quantity};

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
/// Resources that no quota counts. Source: `pkg/quota/v1/install` `ignoredResources`.
const IGNORED: [&str; 10] = [
    "bindings",
    "componentstatuses",
    "events",
    "events.events.k8s.io",
    "localsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectreviews.authentication.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
    "subjectaccessreviews.authorization.k8s.io",
    "tokenreviews.authentication.k8s.io",
];

/// What a quota's namespace uses of everything the quota limits; a name for each of its hard limits.
pub fn usage(quota: &Object, cluster: &dyn Lookup, now: Timestamp) -> Amounts {
    let hard = amounts(quota.at(&["spec", "hard"]));
    let mut used: Amounts = hard.keys().map(|name| (name.clone(), count(0))).collect();
    let resources: BTreeSet<String> = hard.keys().map(|name| resource_of(name)).collect();
    for resource in resources {
        let names: BTreeSet<&String> = hard
            .keys()
            .filter(|name| resource_of(name) == resource)
            .collect();
        for object in cluster.list(&resource, quota.namespace()) {
            if scope::matches(quota, &resource, &object) {
                let mut own = usage_of(&resource, &object, now);
                own.retain(|name, _| names.contains(name));
                add(&mut used, &own);
            }
        }
    }
    used
}

/// Refuses a write that one of the namespace's quotas has no room for.
///
/// # Errors
/// 403, in upstream's words.
pub(crate) fn check(request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
    let resource = request.resource.to_string();
    let Some(object) = &request.object else {
        return Ok(());
    };
    if request.namespace.is_empty() || resource == "namespaces" || !is_charged(request, object) {
        return Ok(());
    }
    for quota in cluster.list("resourcequotas", &request.namespace) {
        check_one(request, cluster, &resource, object, &quota)?;
    }
    Ok(())
}

fn check_one(
    request: &Request<'_>,
    cluster: &dyn Lookup,
    resource: &str,
    object: &Object,
    quota: &Object,
) -> Result<(), StatusError> {
    let mut hard = amounts(quota.at(&["spec", "hard"]));
    hard.retain(|name, _| resource_of(name) == resource);
    if hard.is_empty() || !scope::matches(quota, resource, object) {
        return Ok(());
    }
    if resource == "pods"
        && let Err(why) = pods::check_constraints(&hard, object)
    {
        return Err(request.forbidden(&format!("failed quota: {}: {why}", quota.name())));
    }
    let asked = usage_of(resource, object, request.now);
    let negative: Vec<&str> = asked
        .iter()
        .filter(|(_, amount)| amount.is_negative())
        .map(|(name, _)| name.as_str())
        .collect();
    if !negative.is_empty() {
        return Err(request.forbidden(&format!(
            "quota usage is negative for resource(s): {}",
            negative.join(",")
        )));
    }
    let before = match &request.old {
        Some(old) if scope::matches(quota, resource, old) => usage_of(resource, old, request.now),
        _ => Amounts::new(),
    };
    let requested = grown(&asked, &before, &hard);
    if requested.is_empty() {
        return Ok(());
    }
    let used = usage(quota, cluster, request.now);
    let is_over = |name: &str| {
        let total = requested
            .get(name)
            .map(|more| used.get(name).map_or(*more, |used| used.add(more)));
        total > hard.get(name).copied()
    };
    let exceeded: BTreeSet<&String> = requested.keys().filter(|name| is_over(name)).collect();
    if exceeded.is_empty() {
        return Ok(());
    }
    let masked = |of: &Amounts| {
        let mut of = of.clone();
        of.retain(|name, _| exceeded.contains(name));
        print(&of)
    };
    Err(request.forbidden(&format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.name(),
        masked(&requested),
        masked(&used),
        masked(&hard)
    )))
}

/// What is asked for beyond `before`, of what is limited; nothing that stays or shrinks.
fn grown(asked: &Amounts, before: &Amounts, hard: &Amounts) -> Amounts {
    let more = asked.iter().filter(|(name, _)| hard.contains_key(*name));
    more.map(|(name, amount)| {
        let delta = before
            .get(name)
            .map_or(*amount, |before| amount.sub(before));
        (name.clone(), delta)
    })
    .filter(|(_, delta)| !delta.is_zero() && !delta.is_negative())
    .collect()
}

/// Whether a write can raise what its resource uses. Source: each evaluator's `Handles`.
fn is_charged(request: &Request<'_>, object: &Object) -> bool {
    let operation = request.operation;
    let resource = request.resource.to_string();
    match (resource.as_str(), request.subresource.as_str()) {
        ("pods", "resize") => operation == Operation::Update,
        ("pods", "") if operation == Operation::Update => {
            let old = request.old.as_ref();
            old.is_some_and(|old| scope::is_terminating(old) != scope::is_terminating(object))
        }
        ("services" | "persistentvolumeclaims", "") => {
            matches!(operation, Operation::Create | Operation::Update)
        }
        (other, "") => operation == Operation::Create && !IGNORED.contains(&other),
        _ => false,
    }
}

/// The resource whose objects a hard limit's name counts.
fn resource_of(name: &str) -> String {
    if let Some(resource) = name.strip_prefix("count/") {
        return resource.to_owned();
    }
    if name == "services" || name.starts_with("services.") {
        return "services".to_owned();
    }
    let is_claim = name == "persistentvolumeclaims"
        || name == "requests.storage"
        || name.ends_with(CLAIM_OF_CLASS)
        || name.ends_with(STORAGE_OF_CLASS);
    if is_claim {
        return "persistentvolumeclaims".to_owned();
    }
    if ALIASES.contains(&name) {
        return name.to_owned();
    }
    "pods".to_owned()
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
