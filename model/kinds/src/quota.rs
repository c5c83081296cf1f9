//! Resource quotas: what an object uses, and what a namespace uses of everything a quota limits.
//!
//! Admission and the quota controller count with the same rules. Nothing is kept: usage is counted from the objects.
//! Of most kinds only the number counts; pods, services and claims are weighed one by one.
//!
//! Source: `pkg/quota/v1/evaluator/core`, apiserver `quota/v1`.

mod claims;
mod pods;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use meta::{Object, ObjectExt};

use crate::amounts::{Amounts, add, amounts, count, quantity};
use crate::strategy::Lookup;
use claims::Classes;

pub use pods::{named, over_at};
pub use scope::{is_terminating, matches};

/// The resource of device classes, which say what some limits on claims are about.
pub const DEVICE_CLASSES: &str = "deviceclasses.resource.k8s.io";
const CLAIMS: &str = "resourceclaims.resource.k8s.io";
const CLAIM_OF_CLASS: &str = ".storageclass.storage.k8s.io/persistentvolumeclaims";
const STORAGE_OF_CLASS: &str = ".storageclass.storage.k8s.io/requests.storage";
const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Resources that are counted under their bare name too. Source: `legacyObjectCountAliases`.
const ALIASES: [&str; 4] = [
    "configmaps",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
];
/// Limits on services beside their number. Source: `serviceResources`.
const OF_SERVICES: [&str; 3] = ["services", "services.loadbalancers", "services.nodeports"];
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
/// Resources of which more than the number counts. Source: `NewEvaluators`.
const WEIGHED: [&str; 4] = ["persistentvolumeclaims", "pods", CLAIMS, "services"];
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

/// Whether no quota counts a resource.
pub fn is_ignored(resource: &str) -> bool {
    IGNORED.contains(&resource)
}

/// Whether more than the number of a resource's objects counts.
pub fn is_weighed(resource: &str) -> bool {
    WEIGHED.contains(&resource)
}

/// The resources (`plural` or `plural.group`) that usage of a quota may depend on.
pub fn resources(quota: &Object) -> BTreeSet<String> {
    let hard = quota.at(&["spec", "hard"]);
    let names = hard.and_then(|hard| hard.as_object()).into_iter().flatten();
    let mut resources: BTreeSet<String> = names
        .flat_map(|(name, _)| resources_of(name, None))
        .collect();
    if resources.contains(CLAIMS) {
        resources.extend(["pods", DEVICE_CLASSES].map(str::to_owned));
    }
    resources
}

/// Counts for one quota.
pub struct Meter<'a> {
    quota: &'a Object,
    hard: Amounts,
    classes: Classes,
    cluster: &'a dyn Lookup,
    now: Timestamp,
}

impl<'a> Meter<'a> {
    /// Counts at a time in a cluster.
    pub fn new(quota: &'a Object, cluster: &'a dyn Lookup, now: Timestamp) -> Self {
        let hard = amounts(quota.at(&["spec", "hard"]));
        let classes = if hard.keys().any(|name| is_extended_request(name)) {
            Classes::of(cluster)
        } else {
            Classes::default()
        };
        Self {
            quota,
            hard,
            classes,
            cluster,
            now,
        }
    }

    /// What the quota limits.
    pub fn hard(&self) -> &Amounts {
        &self.hard
    }

    /// What the quota limits of the objects of a resource.
    pub fn limits(&self, resource: &str) -> Amounts {
        let mut limits = self.hard.clone();
        limits.retain(|name, _| {
            let resources = resources_of(name, Some(&self.classes));
            resources.iter().any(|known| known == resource)
        });
        limits
    }

    /// What the quota's namespace uses of all that the quota limits and is asked for, by name. Limits that nothing is
    /// counted for, such as on resources that nobody knows, are left out.
    pub fn usage(&self, is_asked: impl Fn(&str) -> bool) -> Amounts {
        let mut by_resource: BTreeMap<String, BTreeSet<&String>> = BTreeMap::new();
        for name in self.hard.keys().filter(|name| is_asked(name)) {
            for resource in resources_of(name, Some(&self.classes)) {
                by_resource.entry(resource).or_default().insert(name);
            }
        }
        let mut used = Amounts::new();
        for (resource, names) in by_resource {
            if is_ignored(&resource) {
                continue;
            }
            if is_weighed(&resource) {
                let zero = names.iter().map(|name| ((*name).clone(), count(0)));
                add(&mut used, &zero.collect());
                self.weigh(&resource, &mut used);
            } else if let Some(number) = self.cluster.count(&resource, self.quota.namespace()) {
                // No scope holds for what is only counted.
                let number = count(if scope::has_any(self.quota) {
                    0
                } else {
                    number
                });
                used.extend(names.iter().map(|name| ((*name).clone(), number)));
            }
        }
        used.retain(|name, _| is_asked(name));
        used
    }

    fn weigh(&self, resource: &str, used: &mut Amounts) {
        for object in self.cluster.list(resource, self.quota.namespace()) {
            if matches(self.quota, resource, &object) {
                let mut own = self.usage_of(resource, &object);
                own.retain(|name, _| self.hard.contains_key(name));
                add(used, &own);
            }
        }
    }

    /// What one object of a resource uses, limited or not.
    pub fn usage_of(&self, resource: &str, object: &Object) -> Amounts {
        let mut used = Amounts::from([(format!("count/{resource}"), count(1))]);
        match resource {
            "pods" => used.extend(pods::usage(object, self.now)),
            "persistentvolumeclaims" => add_claim(&mut used, object),
            "services" => add_service(&mut used, object),
            CLAIMS => claims::add_usage(&mut used, object, &self.classes, self.cluster, self.now),
            alias if ALIASES.contains(&alias) => {
                used.insert(alias.to_owned(), count(1));
            }
            _ => {}
        }
        used
    }
}

/// The resources whose objects a hard limit's name counts. Without classes, those that it may count.
fn resources_of(name: &str, classes: Option<&Classes>) -> Vec<String> {
    if let Some(resource) = name.strip_prefix("count/") {
        return vec![resource.to_owned()];
    }
    if ALIASES.contains(&name) {
        return vec![name.to_owned()];
    }
    let is_of_volumes = matches!(name, "persistentvolumeclaims" | "requests.storage")
        || name.ends_with(CLAIM_OF_CLASS)
        || name.ends_with(STORAGE_OF_CLASS);
    let is_huge = |name: &str| name.starts_with("hugepages-");
    let is_extended = is_extended_request(name);
    let is_of_pods = OF_PODS.contains(&name)
        || is_huge(name)
        || name.strip_prefix("requests.").is_some_and(is_huge)
        || is_extended;
    let is_of_devices = name.ends_with(claims::DEVICES_OF_CLASS)
        || is_extended && classes.is_none_or(|classes| classes.are_limited_by(name));
    let kinds = [
        (OF_SERVICES.contains(&name), "services"),
        (is_of_volumes, "persistentvolumeclaims"),
        (is_of_pods, "pods"),
        (is_of_devices, CLAIMS),
    ];
    let counted = kinds.into_iter().filter(|(is_counted, _)| *is_counted);
    counted.map(|(_, resource)| resource.to_owned()).collect()
}

/// Whether a name limits requests of an extended resource. Source: `isExtendedResourceNameForQuota`.
fn is_extended_request(name: &str) -> bool {
    name.strip_prefix("requests.")
        .is_some_and(pods::is_extended)
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
        let storage = storage.whole();
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
