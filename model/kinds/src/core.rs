//! The kinds of the core group.

mod config_map;
mod endpoints;
mod event;
mod limit_range;
mod namespace;
mod node;
mod persistent_volume;
pub(crate) mod persistent_volume_claim;
mod pod;
pub(crate) mod pod_spec;
mod pod_template;
mod replication_controller;
mod resource_quota;
mod secret;
mod service;
mod service_account;
pub(crate) mod volume_source;

pub(crate) use event::check as check_event;
pub(crate) use persistent_volume::check_inline_volume;
pub(crate) use secret::pem;
pub(crate) use service::validate::endpoint_ip;
pub(crate) use volume_source::csi_driver_name;

use meta::Quantity;
use serde_json::Value;

use crate::defaults::Rule;
use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::Plain;
use crate::print;
use crate::row::{Group, READ_WRITE};

const V1: Group = Group {
    name: "",
    version: "v1",
    types: "io.k8s.api.core.v1",
};
/// Verbs of `proxy`.
const PROXY: &[&str] = &["create", "delete", "get", "patch", "update"];
/// Verbs of streaming subresources.
const STREAM: &[&str] = &["create", "get"];
/// Namespaces are deleted one by one.
const NO_COLLECTION: &[&str] = &[
    "create", "delete", "get", "list", "patch", "update", "watch",
];

pub(crate) fn rows() -> Vec<Kind> {
    let mut rows = small_rows();
    rows.extend(other_rows());
    rows.push(pod_row());
    rows
}

fn small_rows() -> Vec<Kind> {
    vec![
        V1.namespaced("Binding", "bindings", Plain(&print::CREATED_AT))
            .verbs(&["create"])
            .build(),
        V1.cluster(
            "ComponentStatus",
            "componentstatuses",
            Plain(&print::core::COMPONENT_STATUS),
        )
        .short(&["cs"])
        .deprecated("v1 ComponentStatus is deprecated in v1.19+")
        .verbs(&["get", "list"])
        .build(),
        V1.namespaced("ConfigMap", "configmaps", config_map::ConfigMap)
            .short(&["cm"])
            .build(),
        V1.namespaced("Endpoints", "endpoints", endpoints::Endpoints)
            .short(&["ep"])
            .deprecated(
                "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
            )
            .build(),
        V1.namespaced("Event", "events", event::Event)
            .short(&["ev"])
            .relaxed()
            .build(),
        V1.namespaced("LimitRange", "limitranges", limit_range::LimitRange)
            .short(&["limits"])
            .build(),
        V1.cluster("Namespace", "namespaces", namespace::Namespace)
            .short(&["ns"])
            .verbs(NO_COLLECTION)
            .sub("finalize", &["update"])
            .status()
            .build(),
        V1.cluster("Node", "nodes", node::Node)
            .short(&["no"])
            .sub_of("proxy", ("", "v1", "NodeProxyOptions"), PROXY)
            .status()
            .build(),
    ]
}

fn other_rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            persistent_volume_claim::PersistentVolumeClaim,
        )
        .short(&["pvc"])
        .status()
        .build(),
        V1.cluster(
            "PersistentVolume",
            "persistentvolumes",
            persistent_volume::PersistentVolume,
        )
        .short(&["pv"])
        .status()
        .build(),
        V1.namespaced("PodTemplate", "podtemplates", pod_template::PodTemplate)
            .build(),
        V1.namespaced(
            "ReplicationController",
            "replicationcontrollers",
            replication_controller::ReplicationController,
        )
        .short(&["rc"])
        .in_all()
        .scale()
        .status()
        .build(),
        V1.namespaced(
            "ResourceQuota",
            "resourcequotas",
            resource_quota::ResourceQuota,
        )
        .short(&["quota"])
        .status()
        .build(),
        V1.namespaced("Secret", "secrets", secret::Secret).build(),
        V1.namespaced(
            "ServiceAccount",
            "serviceaccounts",
            service_account::ServiceAccount,
        )
        .short(&["sa"])
        .sub_of(
            "token",
            ("authentication.k8s.io", "v1", "TokenRequest"),
            &["create"],
        )
        .build(),
        V1.namespaced("Service", "services", service::Service)
            .short(&["svc"])
            .in_all()
            .sub_of("proxy", ("", "v1", "ServiceProxyOptions"), PROXY)
            .status()
            .build(),
    ]
}

fn pod_row() -> Kind {
    V1.namespaced("Pod", "pods", pod::Pod)
        .short(&["po"])
        .in_all()
        .sub_of("attach", ("", "v1", "PodAttachOptions"), STREAM)
        .sub_of("binding", ("", "v1", "Binding"), &["create"])
        .sub("ephemeralcontainers", READ_WRITE)
        .sub_of("eviction", ("policy", "v1", "Eviction"), &["create"])
        .sub_of("exec", ("", "v1", "PodExecOptions"), STREAM)
        .sub("log", &["get"])
        .sub_of("portforward", ("", "v1", "PodPortForwardOptions"), STREAM)
        .sub_of("proxy", ("", "v1", "PodProxyOptions"), PROXY)
        .sub("resize", READ_WRITE)
        .status()
        .build()
}

/// The rule of a struct of this group, by its Go name.
pub(crate) fn default_rule(name: &str) -> Option<Rule> {
    Some(match name {
        "EndpointPort" => |port| port.default_to("protocol", "TCP"),
        "LimitRangeItem" => limit_range::default_item,
        "NamespaceStatus" => |status| status.default_to("phase", "Active"),
        "NodeStatus" => node::default_status,
        "PersistentVolumeClaim" => persistent_volume_claim::default_claim,
        "PersistentVolumeClaimSpec" => |spec| spec.default_unset("volumeMode", "Filesystem"),
        _ => return pod_spec::rule(name),
    })
}

/// Rounds the amounts of a resource list up to thousandths.
pub(crate) fn round_up(list: &mut Value) {
    for (_, amount) in list.as_object_mut().into_iter().flatten() {
        let parsed = amount.as_str().and_then(|text| Quantity::parse(text).ok());
        if let Some(parsed) = parsed
            && parsed.nanos() % 1_000_000 != 0
        {
            *amount = Quantity::from_milli(parsed.milli_value())
                .to_string()
                .into();
        }
    }
}

/// How many bytes a base64 text stands for.
pub(crate) fn base64_bytes(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_default();
    text.len() / 4 * 3 - text.bytes().rev().take_while(|b| *b == b'=').count()
}
