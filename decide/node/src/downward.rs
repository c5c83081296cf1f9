//! The downward API: values of the pod that its containers may read.
//!
//! Source: `pkg/fieldpath`, `pkg/kubelet/kubelet_pods.go` (`podFieldSelectorRuntimeValue`),
//! `pkg/api/v1/resource`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ObjectFieldSelector, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use meta::Quantity;

use crate::pod::spec;
use crate::resources::named;

/// What the node lends to the values.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Addresses of the pod.
    pub pod_ips: Vec<String>,
    /// Addresses of the node.
    pub host_ips: Vec<String>,
    /// Allocatable resources of the node, which stand in for limits that are not stated.
    pub allocatable: BTreeMap<String, ApiQuantity>,
}

/// Why a value cannot be given, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownwardError {
    /// There is no such field.
    #[error("unsupported fieldPath: {path}")]
    Field {
        /// The path asked for.
        path: String,
    },
    /// There is no such container in the pod.
    #[error("container {name} not found")]
    Container {
        /// The name asked for.
        name: String,
    },
    /// There is no such resource.
    #[error("unsupported container resource : {resource}")]
    Resource {
        /// The resource asked for.
        resource: String,
    },
}

/// The value of a pod field.
///
/// # Errors
/// The field is not one of the downward API's.
pub fn field(
    pod: &Pod,
    selector: &ObjectFieldSelector,
    facts: &Facts,
) -> Result<String, DownwardError> {
    let path = selector.field_path.as_str();
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let join = |list: &[String]| list.join(",");
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    let value = match path {
        "metadata.name" => text(meta.name.as_ref()),
        "metadata.namespace" => text(meta.namespace.as_ref()),
        "metadata.uid" => text(meta.uid.as_ref()),
        "metadata.labels" => format_map(meta.labels.as_ref()),
        "metadata.annotations" => format_map(meta.annotations.as_ref()),
        "spec.nodeName" => text(spec.and_then(|one| one.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|one| one.service_account_name.as_ref())),
        "status.hostIP" => first(&facts.host_ips),
        "status.hostIPs" => join(&facts.host_ips),
        "status.podIP" => first(&facts.pod_ips),
        "status.podIPs" => join(&facts.pod_ips),
        _ => {
            return subscript(path, pod).ok_or_else(|| DownwardError::Field {
                path: path.to_owned(),
            });
        }
    };
    Ok(value)
}

/// `metadata.labels['key']` and `metadata.annotations['key']`; a missing key gives the empty text.
fn subscript(path: &str, pod: &Pod) -> Option<String> {
    let inner = path.strip_suffix("']")?;
    let (map, key) = inner.split_once("['")?;
    let map = match map {
        "metadata.labels" => pod.metadata.labels.as_ref(),
        "metadata.annotations" => pod.metadata.annotations.as_ref(),
        _ => return None,
    };
    Some(
        map.and_then(|map| map.get(key))
            .cloned()
            .unwrap_or_default(),
    )
}

/// One `key="value"` per line, in order of keys.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The value of a container resource.
///
/// # Errors
/// The container or the resource does not exist.
pub fn resource(
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
    facts: &Facts,
) -> Result<String, DownwardError> {
    let container = match selector
        .container_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        None => own,
        Some(name) => pod.spec.as_ref().and_then(|one| spec::find(one, name)),
    };
    let container = container.ok_or_else(|| DownwardError::Container {
        name: selector.container_name.clone().unwrap_or_default(),
    })?;
    let unknown = || DownwardError::Resource {
        resource: selector.resource.clone(),
    };
    let (list, name) = selector.resource.split_once('.').ok_or_else(unknown)?;
    let resources = container.resources.as_ref();
    let stated = match list {
        "limits" => named(resources.and_then(|all| all.limits.as_ref()), name)
            .or_else(|| named(Some(&facts.allocatable), name)),
        "requests" => named(resources.and_then(|all| all.requests.as_ref()), name),
        _ => return Err(unknown()),
    };
    let known =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !known {
        return Err(unknown());
    }
    Ok(divided(stated, selector.divisor.as_ref()))
}

/// The amount in units of the divisor, rounded up.
fn divided(amount: Option<Quantity>, divisor: Option<&ApiQuantity>) -> String {
    let amount = amount.map_or(0, |one| one.nanos());
    let divisor = divisor
        .and_then(|one| Quantity::parse(&one.0).ok())
        .map(|one| one.nanos());
    let divisor = divisor.filter(|&nanos| nanos > 0).unwrap_or(1_000_000_000);
    (amount + divisor - 1).div_euclid(divisor).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "u1",
                "labels": { "app": "web", "tier": "front \"end\"" } },
            "spec": { "nodeName": "n1", "serviceAccountName": "sa", "containers": [
                { "name": "a", "resources": { "limits": { "cpu": "250m", "memory": "64Mi" } } } ] }
        }))
        .unwrap()
    }

    fn facts() -> Facts {
        Facts {
            pod_ips: vec!["10.0.0.2".to_owned(), "fd00::2".to_owned()],
            host_ips: vec!["192.168.0.1".to_owned()],
            allocatable: [("cpu".to_owned(), ApiQuantity("2".to_owned()))].into(),
        }
    }

    fn field_of(path: &str) -> Result<String, DownwardError> {
        let selector = ObjectFieldSelector {
            field_path: path.to_owned(),
            ..ObjectFieldSelector::default()
        };
        field(&pod(), &selector, &facts())
    }

    #[test]
    fn fields_of_the_pod_are_given() {
        let cases = [
            ("metadata.name", "web"),
            ("metadata.namespace", "shop"),
            ("spec.nodeName", "n1"),
            ("status.podIP", "10.0.0.2"),
            ("status.podIPs", "10.0.0.2,fd00::2"),
            ("status.hostIP", "192.168.0.1"),
            ("metadata.labels['app']", "web"),
            ("metadata.labels['none']", ""),
            ("metadata.labels", "app=\"web\"\ntier=\"front \\\"end\\\"\""),
        ];
        for (path, value) in cases {
            assert_eq!(field_of(path).unwrap(), value, "{path}");
        }
        assert_eq!(
            field_of("spec.x").unwrap_err().to_string(),
            "unsupported fieldPath: spec.x"
        );
    }

    fn resource_of(resource_name: &str, divisor: Option<&str>) -> Result<String, DownwardError> {
        let selector = ResourceFieldSelector {
            resource: resource_name.to_owned(),
            divisor: divisor.map(|text| ApiQuantity(text.to_owned())),
            container_name: Some("a".to_owned()),
        };
        resource(&pod(), None, &selector, &facts())
    }

    #[test]
    fn amounts_are_rounded_up_in_units_of_the_divisor() {
        assert_eq!(resource_of("limits.cpu", None).unwrap(), "1");
        assert_eq!(resource_of("limits.cpu", Some("1m")).unwrap(), "250");
        assert_eq!(resource_of("limits.memory", Some("1Mi")).unwrap(), "64");
        assert_eq!(resource_of("limits.memory", Some("0")).unwrap(), "67108864");
        assert_eq!(resource_of("requests.cpu", None).unwrap(), "0");
        assert!(resource_of("limits.gpu", None).is_err());
    }
}
