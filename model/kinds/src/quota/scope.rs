//! Which objects a quota is about: its scopes and scope selector.
//!
//! Source: `podMatchesScopeFunc`, `pvcMatchesScopeFunc`, apiserver `quota/v1/generic` `Matches`.

use meta::{Object, ObjectExt};
use serde_json::Value;

use crate::amounts::amounts;

/// Whether an object is within all scopes of a quota.
pub fn matches(quota: &Object, resource: &str, object: &Object) -> bool {
    let scopes = quota.list_at(&["spec", "scopes"]).iter();
    let selectors = quota
        .list_at(&["spec", "scopeSelector", "matchExpressions"])
        .iter();
    let mut named = scopes.map(|scope| (scope.as_str().unwrap_or_default(), None));
    let mut selected = selectors.map(|selector| {
        (
            selector.str_at(&["scopeName"]).unwrap_or_default(),
            Some(selector),
        )
    });
    let holds = |(scope, selector): (&str, Option<&Value>)| match resource {
        "pods" => holds_pod(scope, selector, object),
        "persistentvolumeclaims" if scope == "VolumeAttributesClass" => {
            let of_spec = object.str_at(&["spec", "volumeAttributesClassName"]);
            let current = object.str_at(&["status", "currentVolumeAttributesClassName"]);
            let target = object.str_at(&[
                "status",
                "modifyVolumeStatus",
                "targetVolumeAttributesClassName",
            ]);
            let mut names: Vec<&str> = [of_spec, current, target].into_iter().flatten().collect();
            names.retain(|name| !name.is_empty());
            if names.is_empty() {
                return selects(selector, None);
            }
            names.into_iter().any(|name| selects(selector, Some(name)))
        }
        _ => false,
    };
    named.all(holds) && selected.all(holds)
}

/// Whether a quota has a scope at all.
pub(super) fn has_any(quota: &Object) -> bool {
    let has = |path: &[&str]| !quota.list_at(path).is_empty();
    has(&["spec", "scopes"]) || has(&["spec", "scopeSelector", "matchExpressions"])
}

fn holds_pod(scope: &str, selector: Option<&Value>, pod: &Object) -> bool {
    match scope {
        "Terminating" => is_terminating(pod),
        "NotTerminating" => !is_terminating(pod),
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => {
            let class = pod.str_at(&["spec", "priorityClassName"]);
            selects(selector, class.filter(|class| !class.is_empty()))
        }
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        _ => false,
    }
}

/// Whether a selector takes a value; without a selector, or with `Exists`, any value will do.
fn selects(selector: Option<&Value>, value: Option<&str>) -> bool {
    let values = selector.map_or([].as_slice(), |selector| selector.list_at(&["values"]));
    let is_listed = || value.is_some_and(|value| values.iter().any(|known| known == value));
    match selector.and_then(|selector| selector.str_at(&["operator"])) {
        None | Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        Some("In") => is_listed(),
        Some("NotIn") => !is_listed(),
        Some(_) => false,
    }
}

/// Whether a pod has a deadline.
pub fn is_terminating(pod: &Object) -> bool {
    pod.int_at(&["spec", "activeDeadlineSeconds"])
        .is_some_and(|seconds| seconds >= 0)
}

/// Whether no container asks for CPU or memory. Source: `qos.GetPodQOS`.
fn is_best_effort(pod: &Object) -> bool {
    let asks = |of: &Value| {
        ["requests", "limits"].iter().any(|field| {
            let list = amounts(of.at(&["resources", field]));
            list.iter().any(|(name, amount)| {
                matches!(name.as_str(), "cpu" | "memory") && !amount.is_zero()
            })
        })
    };
    let containers = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| pod.list_at(&["spec", list]));
    !containers.into_iter().any(asks) && !pod.get("spec").is_some_and(asks)
}

fn crosses_namespaces(pod: &Object) -> bool {
    let crosses = |term: &Value| {
        !term.list_at(&["namespaces"]).is_empty() || term.at(&["namespaceSelector"]).is_some()
    };
    ["podAffinity", "podAntiAffinity"].iter().any(|side| {
        let list = |field: &str| pod.list_at(&["spec", "affinity", side, field]).iter();
        let required = list("requiredDuringSchedulingIgnoredDuringExecution");
        let preferred = list("preferredDuringSchedulingIgnoredDuringExecution");
        let preferred = preferred.filter_map(|term| term.at(&["podAffinityTerm"]));
        required.chain(preferred).any(crosses)
    })
}
