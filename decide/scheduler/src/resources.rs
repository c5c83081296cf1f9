//! What pods ask for and nodes have, as numbers.

use std::collections::BTreeMap;

use meta::{Object, ObjectExt, Quantity};
use serde_json::Value;

/// CPU counted for a container that asks for none, in scores alone. Source: `pod_resources.go`.
const CPU_MILLI_DEFAULT: i64 = 100;
/// Memory counted for a container that asks for none, in scores alone. Source: `pod_resources.go`.
const MEMORY_BYTES_DEFAULT: i64 = 200 << 20;

/// Amounts of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU, in thousandths.
    pub cpu_milli: i64,
    /// Memory, in bytes.
    pub memory_bytes: i64,
    /// Scratch space, in bytes.
    pub ephemeral_bytes: i64,
    /// Huge pages and extended resources by name.
    pub others: BTreeMap<String, i64>,
}

impl Resources {
    /// Reads a map of quantities; what is no quantity is left out.
    pub fn read(map: Option<&Value>) -> Self {
        let mut resources = Self::default();
        for (name, value) in map.and_then(Value::as_object).into_iter().flatten() {
            let Some(quantity) = quantity(value) else {
                continue;
            };
            match name.as_str() {
                "cpu" => resources.cpu_milli = quantity.milli_value(),
                "memory" => resources.memory_bytes = quantity.value(),
                "ephemeral-storage" => resources.ephemeral_bytes = quantity.value(),
                "pods" => {}
                _ => {
                    resources.others.insert(name.clone(), quantity.value());
                }
            }
        }
        resources
    }
    /// Whether nothing is asked for.
    pub fn is_zero(&self) -> bool {
        self.cpu_milli == 0
            && self.memory_bytes == 0
            && self.ephemeral_bytes == 0
            && self.others.values().all(|amount| *amount == 0)
    }
    /// Adds the other amounts.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, i64::saturating_add);
    }
    /// Takes the other amounts away.
    pub fn sub(&mut self, other: &Self) {
        self.merge(other, i64::saturating_sub);
    }
    /// Raises each amount to the other one.
    pub fn raise(&mut self, other: &Self) {
        self.merge(other, i64::max);
    }
    fn merge(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
        self.cpu_milli = with(self.cpu_milli, other.cpu_milli);
        self.memory_bytes = with(self.memory_bytes, other.memory_bytes);
        self.ephemeral_bytes = with(self.ephemeral_bytes, other.ephemeral_bytes);
        for (name, amount) in &other.others {
            let mine = self.others.entry(name.clone()).or_default();
            *mine = with(*mine, *amount);
        }
    }
    /// The same with a default for CPU and memory where a container asks for none.
    fn or_default(mut self) -> Self {
        if self.cpu_milli == 0 {
            self.cpu_milli = CPU_MILLI_DEFAULT;
        }
        if self.memory_bytes == 0 {
            self.memory_bytes = MEMORY_BYTES_DEFAULT;
        }
        self
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}

/// What a pod asks for: its containers together, or its hungriest moment of initialization, and its overhead.
/// Source: `component-helpers/resource`, `PodRequests`.
pub fn requests(pod: &Object) -> Resources {
    sum(pod, |container| container)
}

/// The same with defaults for containers that ask for nothing; scores use it so that such pods spread too.
pub fn nonzero_requests(pod: &Object) -> Resources {
    sum(pod, Resources::or_default)
}

fn sum(pod: &Object, each: impl Fn(Resources) -> Resources) -> Resources {
    let request =
        |container: &Value| each(Resources::read(container.at(&["resources", "requests"])));
    let mut total = Resources::default();
    for container in pod.list_at(&["spec", "containers"]) {
        total.add(&request(container));
    }
    let (mut sidecars, mut peak) = (Resources::default(), Resources::default());
    for container in pod.list_at(&["spec", "initContainers"]) {
        let mut now = request(container);
        if container.str_at(&["restartPolicy"]) == Some("Always") {
            total.add(&now);
            sidecars.add(&now);
            now = sidecars.clone();
        } else {
            now.add(&sidecars);
        }
        peak.raise(&now);
    }
    total.raise(&peak);
    if let Some(whole) = pod.at(&["spec", "resources", "requests"]) {
        // What the pod asks for as a whole stands for what its parts ask for.
        let whole_pod = Resources::read(Some(whole));
        let asked = |name: &str| whole.get(name).is_some();
        if asked("cpu") {
            total.cpu_milli = whole_pod.cpu_milli;
        }
        if asked("memory") {
            total.memory_bytes = whole_pod.memory_bytes;
        }
    }
    total.add(&Resources::read(pod.at(&["spec", "overhead"])));
    total
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn initialization_counts_by_its_peak_and_sidecars_count_throughout() {
        let ask = |cpu: &str| json!({ "requests": { "cpu": cpu, "memory": "1Mi" } });
        let pod = json!({ "spec": {
            "initContainers": [
                { "restartPolicy": "Always", "resources": ask("100m") },
                { "resources": ask("2") },
            ],
            "containers": [{ "resources": ask("500m") }],
            "overhead": { "cpu": "10m" },
        }});
        let total = requests(&pod);
        assert_eq!((total.cpu_milli, total.memory_bytes), (2110, 2 << 20));
    }

    #[test]
    fn a_container_that_asks_for_nothing_counts_in_scores() {
        let pod = json!({ "spec": { "containers": [{}] } });
        assert!(requests(&pod).is_zero());
        assert_eq!(nonzero_requests(&pod).cpu_milli, 100);
    }

    #[test]
    fn what_is_no_quantity_is_left_out() {
        let read = Resources::read(Some(
            &json!({ "cpu": "x", "memory": {}, "example.com/gpu": 2 }),
        ));
        assert_eq!((read.cpu_milli, read.others["example.com/gpu"]), (0, 2));
    }
}
