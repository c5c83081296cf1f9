//! What is wrong with a Service. Source: `validateService`.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, Path, names};
use serde_json::{Value, json};

use super::{is_externally_accessible, needs_health_check};
use crate::check::{Errors, Node, cidr, ip, parse_ip, port_or_name};
use crate::metadata::{invalid, labels};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// The annotation that says who may come through a load balancer, from before there was a field.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// A Service as it stands. Addresses that the old one had in the same field may be of older rules.
pub(super) fn service(object: &Object, old: Option<&Object>) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    let old_spec = old.map(|old| Node::root(old).child("spec"));
    let had = |list: &str| -> Vec<&str> {
        let spec = old_spec.as_ref();
        spec.map(|spec| spec.texts(list)).unwrap_or_default()
    };
    let kind = spec.text("type");
    let is_headless = spec.texts("clusterIPs").first() == Some(&"None");
    if !spec.has_items("ports") && !is_headless && kind != "ExternalName" {
        errors.push(FieldError::required(&spec.at("ports"), ""));
    }
    by_type(&spec, is_headless, &mut errors);
    ports(&spec, &mut errors);
    errors.extend(labels(spec.value.get("selector"), &spec.at("selector")));
    affinity(&spec, &mut errors);
    cluster_ips(&spec, &had("clusterIPs"), &mut errors);
    external_ips(&spec, &had("externalIPs"), &mut errors);
    spec.needs_one_of("type", &TYPES, &mut errors);
    node_ports(&spec, &mut errors);
    source_ranges(&spec, &had("loadBalancerSourceRanges"), &mut errors);
    if !spec.has_items("loadBalancerSourceRanges") {
        annotated_ranges(object, old, &mut errors);
    }
    load_balancer(&spec, &mut errors);
    traffic(&spec, &mut errors);
    errors
}

fn by_type(spec: &Node<'_>, is_headless: bool, errors: &mut Errors) {
    let kind = spec.text("type");
    if matches!(kind, "LoadBalancer" | "NodePort") && is_headless {
        let why = format!("may not be set to 'None' for {kind} services");
        errors.push(FieldError::invalid(
            &spec.at("clusterIPs").index(0),
            "None",
            why,
        ));
    }
    if kind != "ExternalName" {
        return;
    }
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if spec.has(field) {
            let why = "may not be set for ExternalName services";
            errors.push(FieldError::forbidden(&spec.at(field), why));
        }
    }
    let name = spec.text("externalName");
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        errors.push(FieldError::required(&spec.at("externalName"), ""));
    } else {
        errors.extend(invalid(
            &spec.at("externalName"),
            name,
            names::dns1123_subdomain(name),
        ));
    }
}

fn ports(spec: &Node<'_>, errors: &mut Errors) {
    let ports = spec.items("ports");
    let mut known = BTreeSet::new();
    for port in &ports {
        let name = port.text("name");
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(&port.at("name"), ""));
        } else if !name.is_empty() {
            port.complain("name", names::dns1123_label(name), errors);
            if !known.insert(name) {
                errors.push(FieldError::duplicate(&port.at("name"), name));
            }
        }
        let number = port.int("port").unwrap_or_default();
        let complaints = names::port_number(number).into_iter();
        errors.extend(complaints.map(|why| FieldError::invalid(&port.at("port"), number, why)));
        port.needs_one_of("protocol", &PROTOCOLS, errors);
        port_or_name(port, "targetPort", errors);
        if port.has("appProtocol") {
            port.complain(
                "appProtocol",
                names::qualified_name(port.text("appProtocol")),
                errors,
            );
        }
    }
}

fn affinity(spec: &Node<'_>, errors: &mut Errors) {
    spec.needs_one_of("sessionAffinity", &["ClientIP", "None"], errors);
    let path = spec.at("sessionAffinityConfig");
    match spec.text("sessionAffinity") {
        "ClientIP" => {
            let config = spec.child("sessionAffinityConfig").child("clientIP");
            let why = "when session affinity type is ClientIP";
            match config.int("timeoutSeconds") {
                None => errors.push(FieldError::required(&path, why)),
                Some(seconds) if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) => {
                    let why =
                        format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                    errors.push(FieldError::invalid(
                        &config.at("timeoutSeconds"),
                        seconds,
                        why,
                    ));
                }
                Some(_) => {}
            }
        }
        "None" if spec.has("sessionAffinityConfig") => {
            let why = "must not be set when session affinity is None";
            errors.push(FieldError::forbidden(&path, why));
        }
        _ => {}
    }
}

/// The families that are asked for, and how many there must be.
fn families_and_policy(spec: &Node<'_>, families: &[&str], errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for (index, family) in families.iter().enumerate() {
        if !matches!(*family, "IPv4" | "IPv6") {
            let path = spec.at("ipFamilies").index(index);
            errors.push(FieldError::not_supported(&path, *family, &["IPv4", "IPv6"]));
        }
        if !known.insert(*family) {
            errors.push(FieldError::duplicate(
                &spec.at("ipFamilies").index(index),
                *family,
            ));
        }
    }
    if spec.has("ipFamilyPolicy") {
        spec.one_of(
            "ipFamilyPolicy",
            &["PreferDualStack", "RequireDualStack", "SingleStack"],
            errors,
        );
    }
}

/// What is wrong with the addresses and families of a spec, before any are allocated.
pub(super) fn linked_fields(spec: &Value, old: Option<&Value>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec");
    let had = old.map(|old| super::families::texts(old, "clusterIPs"));
    let had = had.unwrap_or_default();
    let had: Vec<&str> = had.iter().map(String::as_str).collect();
    cluster_ips(&Node { value: spec, path }, &had, &mut errors);
    errors
}

/// Source: `ValidateServiceClusterIPsRelatedFields`.
fn cluster_ips(spec: &Node<'_>, had: &[&str], errors: &mut Errors) {
    if spec.text("type") == "ExternalName" {
        return;
    }
    let ips = spec.texts("clusterIPs");
    let families = spec.texts("ipFamilies");
    let path = spec.at("clusterIPs");
    let wrong = |why: &str| FieldError::invalid(&path, json!(ips), why);
    let first = ips.first().copied().unwrap_or_default();
    if spec.text("clusterIP").is_empty() {
        if !ips.is_empty() {
            errors.push(wrong("must be empty when `clusterIP` is not specified"));
        }
    } else if ips.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if spec.text("clusterIP") != first {
        errors.push(wrong("first value must match `clusterIP`"));
    }
    families_and_policy(spec, &families, errors);
    let mut is_valid = true;
    for (index, address) in ips.iter().enumerate() {
        if index == 0 && *address == "None" {
            if ips.len() > 1 {
                is_valid = false;
                errors.push(wrong("'None' must be the first and only value"));
            }
            continue;
        }
        let complaints = if had.contains(address) {
            Vec::new()
        } else {
            ip(address)
        };
        is_valid &= complaints.is_empty();
        errors.extend(invalid(&path.index(index), address, complaints));
    }
    if ips.len() > 2 {
        errors.push(wrong("may only hold up to 2 values"));
    }
    if !is_valid {
        return;
    }
    let is_v6 = |address: &str| address.contains(':');
    let some_v6 = ips.iter().filter(|address| is_v6(address)).count();
    if ips.len() > 1 && (some_v6 == 0 || some_v6 == ips.len()) {
        errors.push(wrong("may specify no more than one IP for each IP family"));
    }
    if first == "None" {
        return;
    }
    for (index, (address, expected)) in ips.iter().zip(&families).enumerate() {
        let family = if is_v6(address) { "IPv6" } else { "IPv4" };
        if matches!(*expected, "IPv4" | "IPv6") && *expected != family {
            let why = format!("expected an {expected} value as indicated by `ipFamilies[{index}]`");
            errors.push(FieldError::invalid(&path.index(index), *address, why));
        }
    }
}

fn external_ips(spec: &Node<'_>, had: &[&str], errors: &mut Errors) {
    for (index, address) in spec.texts("externalIPs").iter().enumerate() {
        let path = spec.at("externalIPs").index(index);
        let complaints = if had.contains(address) {
            Vec::new()
        } else {
            ip(address)
        };
        if complaints.is_empty() {
            errors
                .extend(endpoint_ip(address).map(|why| FieldError::invalid(&path, *address, why)));
        }
        errors.extend(invalid(&path, address, complaints));
    }
}

/// Addresses that no endpoint can have. Source: `ValidateEndpointIP`.
pub(crate) fn endpoint_ip(text: &str) -> Option<String> {
    let address = parse_ip(text)?;
    if address.is_unspecified() {
        return Some(format!("may not be unspecified ({text})"));
    }
    if address.is_loopback() {
        return Some("may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned());
    }
    let (is_link_local, is_multicast) = match address {
        std::net::IpAddr::V4(v4) => (v4.is_link_local(), v4.octets().starts_with(&[224, 0, 0])),
        // The low half of the first group's second byte is the scope, here the link.
        std::net::IpAddr::V6(v6) => {
            let first = v6.segments().first().copied().unwrap_or_default();
            (v6.is_unicast_link_local(), first & 0xff0f == 0xff02)
        }
    };
    if is_link_local {
        return Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned());
    }
    let why = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
    is_multicast.then(|| why.to_owned())
}

fn node_ports(spec: &Node<'_>, errors: &mut Errors) {
    let ports = spec.items("ports");
    if spec.text("type") == "ClusterIP" {
        for port in ports
            .iter()
            .filter(|port| port.int("nodePort").unwrap_or_default() != 0)
        {
            let why = "may not be used when `type` is 'ClusterIP'";
            errors.push(FieldError::forbidden(&port.at("nodePort"), why));
        }
    }
    let (mut taken, mut known) = (BTreeSet::new(), BTreeSet::new());
    for port in &ports {
        let number = port.int("nodePort").unwrap_or_default();
        if number != 0 && !taken.insert((port.text("protocol"), number)) {
            errors.push(FieldError::duplicate(&port.at("nodePort"), number));
        }
    }
    for port in &ports {
        let number = port.int("port").unwrap_or_default();
        if !known.insert((port.text("protocol"), number)) {
            let key = json!({"protocol": port.text("protocol"), "port": number});
            errors.push(FieldError::duplicate(&port.path, key));
        }
    }
}

fn source_ranges(spec: &Node<'_>, had: &[&str], errors: &mut Errors) {
    let ranges = spec.texts("loadBalancerSourceRanges");
    let path = spec.at("LoadBalancerSourceRanges");
    if !ranges.is_empty() {
        if spec.text("type") != "LoadBalancer" {
            errors.push(FieldError::forbidden(&path, ONLY));
        }
        for (index, range) in ranges.iter().enumerate() {
            if had.iter().any(|had| had.trim() == range.trim()) {
                continue;
            }
            errors.extend(invalid(
                &path.index(index),
                range.trim(),
                cidr(range.trim()),
            ));
        }
    }
}

fn annotated_ranges(object: &Object, old: Option<&Object>, errors: &mut Errors) {
    let Some(ranges) = object.annotation(SOURCE_RANGES) else {
        return;
    };
    let path = Path::new("metadata").child("annotations");
    let path = path.key(SOURCE_RANGES);
    if object.str_at(&["spec", "type"]) != Some("LoadBalancer") {
        errors.push(FieldError::forbidden(&path, ONLY));
    }
    let was = old.and_then(|old| old.annotation(SOURCE_RANGES));
    if was == Some(ranges) || ranges.trim().is_empty() {
        return;
    }
    for range in ranges.split(',').map(str::trim) {
        errors.extend(invalid(&path, range, cidr(range)));
    }
}

fn load_balancer(spec: &Node<'_>, errors: &mut Errors) {
    let is_balancer = spec.text("type") == "LoadBalancer";
    if spec.has("allocateLoadBalancerNodePorts") && !is_balancer {
        errors.push(FieldError::forbidden(
            &spec.at("allocateLoadBalancerNodePorts"),
            ONLY,
        ));
    }
    balancer_class(spec, errors);
}

/// Source: `validateLoadBalancerClassField`.
pub(super) fn balancer_class(spec: &Node<'_>, errors: &mut Errors) {
    if spec.has("loadBalancerClass") {
        let path = spec.at("loadBalancerClass");
        if spec.text("type") != "LoadBalancer" {
            errors.push(FieldError::forbidden(
                &path,
                "may only be used when `type` is 'LoadBalancer'",
            ));
            return;
        }
        spec.complain(
            "loadBalancerClass",
            names::qualified_name(spec.text("loadBalancerClass")),
            errors,
        );
    }
}

fn traffic(spec: &Node<'_>, errors: &mut Errors) {
    if is_externally_accessible(spec.value) {
        spec.needs_one_of("externalTrafficPolicy", &["Cluster", "Local"], errors);
    } else if spec.has("externalTrafficPolicy") {
        let path = spec.at("externalTrafficPolicy");
        let why = "may only be set for externally-accessible services";
        errors.push(FieldError::invalid(
            &path,
            spec.text("externalTrafficPolicy"),
            why,
        ));
    }
    let port = spec.int("healthCheckNodePort").unwrap_or_default();
    if needs_health_check(spec.value) {
        // Zero stands for a port that is still to be allocated.
        if !(0..=65535).contains(&port) {
            let why = names::in_range(1, 65535);
            errors.push(FieldError::invalid(
                &spec.at("healthCheckNodePort"),
                port,
                why,
            ));
        }
    } else if port != 0 {
        let why =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.push(FieldError::invalid(
            &spec.at("healthCheckNodePort"),
            port,
            why,
        ));
    }
    let kind = spec.text("type");
    if spec.has("internalTrafficPolicy") {
        spec.one_of("internalTrafficPolicy", &["Cluster", "Local"], errors);
    } else if matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer") {
        errors.push(FieldError::required(&spec.at("internalTrafficPolicy"), ""));
    }
    if spec.has("trafficDistribution") {
        let valid = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        spec.one_of("trafficDistribution", &valid, errors);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::linked_fields;

    #[test]
    fn addresses_of_one_family_are_one_too_many() {
        let spec = json!({"type": "ClusterIP", "clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"],
            "clusterIPs": ["10.0.0.1", "10.0.0.2"]});
        let errors = linked_fields(&spec, None);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family"#,
                r#"spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`"#,
            ]
        );
    }
}
