//! Quality-of-service classes.

use std::collections::BTreeMap;

use meta::{ObjectExt as _, Quantity};
use serde_json::Value;

/// The class of a pod, from its requests and limits of CPU and memory.
///
/// Source: Kubernetes docs, "Pod quality of service classes"; resources of the pod, though they be none, win over the
/// containers' own.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let pod_level = spec.get("resources").filter(|it| it.is_object());
    let containers: Vec<&Value> = match pod_level {
        Some(resources) => vec![resources],
        None => ["containers", "initContainers"]
            .iter()
            .flat_map(|list| spec.list_at(&[list]))
            .filter_map(|container| container.get("resources"))
            .collect(),
    };
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let mut is_guaranteed = true;
    for resources in containers {
        sum(resources.get("requests"), &mut requests);
        let limited = sum(resources.get("limits"), &mut limits);
        is_guaranteed &= limited == 2;
    }
    if pod_level.is_none() && !every_container_has_resources(spec) {
        is_guaranteed = false;
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    let same = requests
        .iter()
        .all(|(name, amount)| limits.get(name) == Some(amount));
    if is_guaranteed && same && requests.len() == limits.len() {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

fn every_container_has_resources(spec: &Value) -> bool {
    ["containers", "initContainers"]
        .iter()
        .flat_map(|list| spec.list_at(&[list]))
        .all(|container| container.at(&["resources", "limits"]).is_some())
}

/// Adds CPU and memory above zero; says how many of the two there are.
fn sum<'a>(list: Option<&'a Value>, into: &mut BTreeMap<&'a str, Quantity>) -> usize {
    let mut found = 0;
    for name in ["cpu", "memory"] {
        let text = list.and_then(|list| list.str_at(&[name]));
        let amount = text.and_then(|text| Quantity::parse(text).ok());
        if let Some(amount) = amount.filter(|amount| amount.nanos() > 0) {
            found += 1;
            into.entry(name)
                .and_modify(|sum| *sum = sum.add(&amount))
                .or_insert(amount);
        }
    }
    found
}

/// The effective request of all containers together: sidecars and app containers side by side, or the greatest init
/// container; `None` when no container asks.
pub(super) fn container_sum(spec: &Value, name: &str) -> Option<String> {
    let request = |container: &Value| {
        let text = container.str_at(&["resources", "requests", name])?;
        Quantity::parse(text).ok()
    };
    let mut sum: Option<Quantity> = None;
    let add = |sum: &mut Option<Quantity>, amount: Option<Quantity>| {
        *sum = match (&*sum, amount) {
            (Some(sum), Some(amount)) => Some(sum.add(&amount)),
            (sum, amount) => amount.or(*sum),
        };
    };
    for container in spec.list_at(&["containers"]) {
        add(&mut sum, request(container));
    }
    let mut sidecars: Option<Quantity> = None;
    let mut greatest: Option<Quantity> = None;
    for container in spec.list_at(&["initContainers"]) {
        let mut needed = request(container);
        if container.str_at(&["restartPolicy"]) == Some("Always") {
            add(&mut sidecars, needed);
            needed = sidecars;
        } else {
            add(&mut needed, sidecars);
        }
        greatest = greatest.max(needed);
    }
    add(&mut sum, sidecars);
    sum.max(greatest).map(|sum| sum.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_of_a_pod_count_though_they_be_none() {
        let containers = json!([{"resources": {"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}}}]);
        let class = |own: Value| qos_class(&json!({"containers": containers, "resources": own}));
        assert_eq!(class(Value::Null), "Guaranteed");
        assert_eq!(class(json!({"requests": {}})), "BestEffort");
        assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    }
}
