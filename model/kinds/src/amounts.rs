//! Resource lists, and what a pod asks for as a whole.
//!
//! Source: `component-helpers/resource` `PodRequests` and `PodLimits`.

use std::collections::BTreeMap;

use meta::quantity::{Format, Quantity};
use meta::{Object, ObjectExt};
use serde_json::Value;

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Reads a resource list; what is no quantity is left out.
pub fn amounts(list: Option<&Value>) -> Amounts {
    let entries = list.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(name, amount)| Some((name.clone(), quantity(amount)?)))
        .collect()
}

/// A resource list as JSON.
pub fn to_value(amounts: &Amounts) -> Value {
    let entries = amounts
        .iter()
        .map(|(name, amount)| (name.clone(), Value::from(amount.to_string())));
    Value::Object(entries.collect())
}

/// `a=1,b=2`, by name. Source: admission `resourcequota` `prettyPrint`.
pub fn print(amounts: &Amounts) -> String {
    let parts: Vec<String> = amounts
        .iter()
        .map(|(name, amount)| format!("{name}={amount}"))
        .collect();
    parts.join(",")
}

/// A quantity in JSON: text or number.
pub fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// So many of something.
pub fn count(number: usize) -> Quantity {
    Quantity::from_units(i64::try_from(number).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// Adds the second list to the first.
pub fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = to.get(name).map_or(*amount, |present| present.add(amount));
        to.insert(name.clone(), sum);
    }
}

/// Raises the first list to the second where that is more.
fn raise(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        if to.get(name).is_none_or(|present| present < amount) {
            to.insert(name.clone(), *amount);
        }
    }
}

/// What a pod needs at its peak of `requests` or `limits`: containers together, or its greediest moment of starting.
/// Amounts of the whole pod (`spec.resources`) take the place of sums.
pub fn of_pod(pod: &Object, field: &str) -> Amounts {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let mut total = of_containers(spec, field);
    let whole = amounts(spec.at(&["resources", field]));
    total.extend(whole.into_iter().filter(|(name, _)| {
        matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-")
    }));
    total
}

/// The same of the containers alone, given a pod's spec. Source: `AggregateContainerRequests`.
pub(crate) fn of_containers(spec: &Value, field: &str) -> Amounts {
    let own = |container: &Object| amounts(container.at(&["resources", field]));
    let mut total = Amounts::new();
    for container in spec.list_at(&["containers"]) {
        add(&mut total, &own(container));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in spec.list_at(&["initContainers"]) {
        if container.str_at(&["restartPolicy"]) == Some("Always") {
            add(&mut total, &own(container));
            add(&mut sidecars, &own(container));
            raise(&mut starting, &sidecars);
        } else {
            let mut moment = own(container);
            add(&mut moment, &sidecars);
            raise(&mut starting, &moment);
        }
    }
    raise(&mut total, &starting);
    total
}

/// Upstream's text for several errors. Source: apimachinery `util/errors` aggregate.
pub fn aggregate(errors: &[String]) -> Option<String> {
    let mut unique: Vec<&str> = Vec::new();
    for error in errors {
        if !unique.contains(&error.as_str()) {
            unique.push(error);
        }
    }
    match unique.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}
