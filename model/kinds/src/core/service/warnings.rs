//! What a client is warned of about a Service. Source: `pkg/api/service/warnings.go`.

use meta::Object;

use crate::check::{Node, cidr_warnings, ip_warning};

/// Warnings about a Service.
pub(super) fn check(new: &Object) -> Vec<String> {
    let root = Node::root(new);
    let spec = root.child("spec");
    let mut warnings = Vec::new();
    let mut warn = |words: &str| warnings.push(words.to_owned());
    let annotations = root.child("metadata").child("annotations");
    if annotations.has("service.kubernetes.io/topology-aware-hints") {
        warn(
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, \
             please use service.kubernetes.io/topology-mode instead",
        );
    }
    let is_external = spec.text("type") == "ExternalName";
    let has_external_ips = spec.has_items("externalIPs");
    let is_headless = spec.text("type") == "ClusterIP" && spec.text("clusterIP") == "None";
    if !is_headless && !spec.text("clusterIP").is_empty() {
        addresses(&spec, "clusterIPs", &mut warn);
    }
    if is_headless {
        if !spec.text("loadBalancerIP").is_empty() {
            warn("spec.loadBalancerIP is ignored for headless services");
        }
        if has_external_ips {
            warn("spec.externalIPs is ignored for headless services");
        }
        if spec.text("sessionAffinity") != "None" {
            warn("spec.SessionAffinity is ignored for headless services");
        }
    }
    addresses(&spec, "externalIPs", &mut warn);
    if has_external_ips && !is_headless && !is_external {
        warn("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
    }
    let balancer = spec.text("loadBalancerIP");
    if let Some(words) = ip_warning(&spec.at("loadBalancerIP"), balancer) {
        warn(&words);
    }
    let ranges = "loadBalancerSourceRanges";
    for (index, range) in spec.texts(ranges).into_iter().enumerate() {
        for words in cidr_warnings(&spec.at(ranges).index(index), range) {
            warn(&words);
        }
    }
    if is_external && has_external_ips {
        warn(r#"spec.externalIPs is ignored when spec.type is "ExternalName""#);
    }
    if !is_external && !spec.text("externalName").is_empty() {
        warn(r#"spec.externalName is ignored when spec.type is not "ExternalName""#);
    }
    if spec.text("trafficDistribution") == "PreferClose" {
        warn(r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#);
    }
    warnings
}

fn addresses(spec: &Node<'_>, list: &str, warn: &mut impl FnMut(&str)) {
    for (index, address) in spec.texts(list).into_iter().enumerate() {
        if let Some(words) = ip_warning(&spec.at(list).index(index), address) {
            warn(&words);
        }
    }
}
