//! What pods use.
//!
//! Source: `pkg/quota/v1/evaluator/core/pods.go`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use meta::{Object, ObjectExt};

use crate::amounts::{Amounts, add, amounts, count, of_pod};

/// Amounts that every container must state when a quota limits them.
const CONSTRAINED: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

/// Adds what a pod uses beyond being there; a finished pod uses nothing more.
pub(super) fn add_usage(used: &mut Amounts, pod: &Object, now: Timestamp) {
    if is_over(pod, now) {
        return;
    }
    let (mut requests, mut limits) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
    let overhead = amounts(pod.at(&["spec", "overhead"]));
    add(&mut requests, &overhead);
    let mut on_limits = overhead;
    on_limits.retain(|name, _| limits.get(name).is_some_and(|limit| !limit.is_zero()));
    add(&mut limits, &on_limits);
    used.insert("pods".into(), count(1));
    used.extend(named(&requests, &limits));
}

/// Requests and limits under the names that quotas give them.
fn named(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut names = Amounts::new();
    for (name, amount) in requests {
        let is_native = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        let is_huge = name.starts_with("hugepages-");
        let is_extended = name.contains('/') && !name.contains("kubernetes.io/");
        if is_native || is_huge {
            names.insert(name.clone(), *amount);
        }
        if is_native || is_huge || is_extended {
            names.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            names.insert(format!("limits.{name}"), *amount);
        }
    }
    names
}

/// Whether a pod has ended, or should have by now. Source: `QuotaV1Pod`.
fn is_over(pod: &Object, now: Timestamp) -> bool {
    if matches!(
        pod.str_at(&["status", "phase"]),
        Some("Failed" | "Succeeded")
    ) {
        return true;
    }
    let deleted = pod.deletion_timestamp().and_then(meta::time::from_rfc3339);
    let grace = pod.int_at(&["metadata", "deletionGracePeriodSeconds"]);
    match (deleted, grace) {
        (Some(deleted), Some(grace)) => deleted
            .checked_add(SignedDuration::from_secs(grace))
            .is_ok_and(|end| now > end),
        _ => false,
    }
}

/// Whether every container says what the quota limits. Source: `podEvaluator.Constraints`.
pub(super) fn check_constraints(hard: &Amounts, pod: &Object) -> Result<(), String> {
    let whole = pod.at(&["spec", "resources"]);
    let is_set = |field: &str| {
        let list = amounts(whole.and_then(|whole| whole.get(field)));
        list.keys()
            .any(|name| matches!(name.as_str(), "cpu" | "memory"))
    };
    if is_set("requests") || is_set("limits") {
        return Ok(());
    }
    let required: Vec<&String> = hard
        .keys()
        .filter(|name| CONSTRAINED.contains(&name.as_str()))
        .collect();
    let mut missing: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for list in ["containers", "initContainers"] {
        for container in pod.list_at(&["spec", list]) {
            let stated = named(
                &amounts(container.at(&["resources", "requests"])),
                &amounts(container.at(&["resources", "limits"])),
            );
            for name in required.iter().filter(|name| !stated.contains_key(**name)) {
                let container = container.str_at(&["name"]).unwrap_or_default();
                missing.entry(name).or_default().insert(container);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = missing
        .into_iter()
        .map(|(name, containers)| {
            let containers: Vec<&str> = containers.into_iter().collect();
            format!("{name} for: {}", containers.join(","))
        })
        .collect();
    Err(format!("must specify {}", lines.join("; ")))
}
