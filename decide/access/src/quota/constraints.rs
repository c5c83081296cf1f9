//! What pods must state where a quota limits it.
//!
//! Source: `pkg/quota/v1/evaluator/core/pods.go`.

use std::collections::{BTreeMap, BTreeSet};

use kinds::amounts::{Amounts, amounts};
use kinds::quota::named;
use meta::{Object, ObjectExt};

/// Amounts that every container must state when a quota limits them.
const CONSTRAINED: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

/// Whether every container says what the quota limits. Source: `podEvaluator.Constraints`.
pub(super) fn check(hard: &Amounts, pod: &Object) -> Result<(), String> {
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
