//! The quality-of-service class of a pod.
//!
//! Source: `pkg/apis/core/v1/helper/qos/qos.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::resources::named;

/// How well a pod's resources are promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Limits equal requests, for CPU and memory of every container.
    Guaranteed,
    /// Some requests or limits.
    Burstable,
    /// None at all.
    BestEffort,
}

impl Qos {
    /// The name in `status.qosClass`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// Computes the class; the one in the status, once set, never changes and wins.
pub fn class(pod: &Pod) -> Qos {
    let stated = pod
        .status
        .as_ref()
        .and_then(|status| status.qos_class.as_deref());
    match stated {
        Some("Guaranteed") => return Qos::Guaranteed,
        Some("Burstable") => return Qos::Burstable,
        Some("BestEffort") => return Qos::BestEffort,
        _ => {}
    }
    let Some(spec) = &pod.spec else {
        return Qos::BestEffort;
    };
    if let Some(resources) = spec.resources.as_ref().filter(|all| names_any(all)) {
        return if is_guaranteed(resources) {
            Qos::Guaranteed
        } else {
            Qos::Burstable
        };
    }
    let all: Vec<&Container> = crate::pod::spec::all(spec).collect();
    let named = |one: &&Container| one.resources.as_ref().is_some_and(names_any);
    if !all.iter().any(named) {
        return Qos::BestEffort;
    }
    let guaranteed = |one: &&Container| one.resources.as_ref().is_some_and(is_guaranteed);
    if all.iter().all(guaranteed) {
        Qos::Guaranteed
    } else {
        Qos::Burstable
    }
}

const COUNTED: [&str; 2] = ["cpu", "memory"];

fn names_any(resources: &ResourceRequirements) -> bool {
    let is_named = |name: &str| {
        let request = amount(resources.requests.as_ref(), name);
        request
            .or_else(|| amount(resources.limits.as_ref(), name))
            .is_some()
    };
    COUNTED.iter().any(|name| is_named(name))
}

fn is_guaranteed(resources: &ResourceRequirements) -> bool {
    COUNTED.iter().all(|name| {
        let limit = amount(resources.limits.as_ref(), name);
        let request = amount(resources.requests.as_ref(), name);
        limit.is_some() && (request.is_none() || request == limit)
    })
}

/// A positive amount of a resource, in billionths of its unit.
fn amount(list: Option<&BTreeMap<String, ApiQuantity>>, name: &str) -> Option<i128> {
    let nanos = named(list, name)?.nanos();
    (nanos > 0).then_some(nanos)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
    fn of(containers: Value) -> Qos {
        let pod = json!({ "spec": { "containers": containers } });
        class(&serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn classes_follow_requests_and_limits() {
        assert_eq!(of(json!([{ "name": "a" }])), Qos::BestEffort);
        let full =
            json!({ "name": "a", "resources": { "limits": { "cpu": "1", "memory": "1Gi" } } });
        assert_eq!(of(json!([full])), Qos::Guaranteed);
        assert_eq!(of(json!([full, { "name": "b" }])), Qos::Burstable);
        let spelled = json!({ "name": "a", "resources": {
            "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1000m", "memory": "1024Mi" } } });
        assert_eq!(of(json!([spelled])), Qos::Guaranteed);
        let less = json!({ "name": "a", "resources": { "requests": { "cpu": "100m" } } });
        assert_eq!(of(json!([less])), Qos::Burstable);
        let none = json!({ "name": "a", "resources": { "requests": { "cpu": "0" } } });
        assert_eq!(of(json!([none])), Qos::BestEffort);
    }
}
