//! Networking: the kinds of `networking.k8s.io`.

mod address;
mod ingress_class;
mod network_policy;
mod validate;

use serde_json::Value;

use crate::check::Node;
use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;
use meta::Object;

const V1: Group = Group {
    name: "networking.k8s.io",
    version: "v1",
    types: "io.k8s.api.networking.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "Ingress",
            "ingresses",
            Checked::new(&print::other::INGRESS, validate::ingress)
                .counted()
                .warns(ingress_warnings),
        )
        .short(&["ing"])
        .status()
        .build(),
        V1.cluster(
            "IngressClass",
            "ingressclasses",
            ingress_class::IngressClass,
        )
        .build(),
        V1.cluster(
            "IPAddress",
            "ipaddresses",
            Checked::new(&print::other::IP_ADDRESS, address::ip_address)
                .changes(address::ip_address_change)
                .named(address::ip_name),
        )
        .short(&["ip"])
        .build(),
        V1.namespaced(
            "NetworkPolicy",
            "networkpolicies",
            network_policy::NetworkPolicy,
        )
        .short(&["netpol"])
        .build(),
        V1.cluster(
            "ServiceCIDR",
            "servicecidrs",
            Checked::new(&print::other::SERVICE_CIDR, address::service_cidr)
                .changes(address::service_cidr_change),
        )
        .status()
        .build(),
    ]
}

pub(crate) fn default_policy_port(port: &mut Value) {
    port.default_unset("protocol", "TCP");
}

pub(crate) use validate::domain_path;

/// A new Ingress should name its class in a field.
fn ingress_warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    let root = Node::root(new);
    let annotations = root.child("metadata").child("annotations");
    let is_named = root.child("spec").has("ingressClassName");
    if old.is_some() || is_named || !annotations.has("kubernetes.io/ingress.class") {
        return Vec::new();
    }
    let words = r#"annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead"#;
    vec![words.to_owned()]
}
