//! The linked fields of a Service: cluster IPs in singular and plural, IP families, and what a change of type drops.

use std::net::IpAddr;

use meta::{FieldError, ObjectExt as _, Path};
use serde_json::{Value, json};

use super::{is_externally_accessible, needs_health_check, needs_node_ports, text};
use crate::edit::Edit as _;
use crate::strategy::Ranges;

/// Keeps `clusterIP` and `clusterIPs` in step for clients that know one of them.
pub(super) fn normalize(spec: &mut Value, old: Option<&Value>) {
    let Some(old) = old else {
        let ip = text(spec, "clusterIP").to_owned();
        if !ip.is_empty() && spec.list_at(&["clusterIPs"]).is_empty() {
            spec.put("clusterIPs", json!([ip]));
        }
        return;
    };
    let (was, is) = (
        text(old, "clusterIP").to_owned(),
        text(spec, "clusterIP").to_owned(),
    );
    let old_ips = old.list_at(&["clusterIPs"]);
    if !old_ips.is_empty() && spec.list_at(&["clusterIPs"]).is_empty() && was == is {
        spec.put("clusterIPs", old_ips.to_vec());
    }
    if was != is && spec.list_at(&["clusterIPs"]) == old_ips {
        if is.is_empty() {
            spec.drop_field("clusterIPs");
        } else {
            spec.put("clusterIPs", json!([is]));
        }
    }
}

/// Values that were allocated before stand in for ones the client left out.
pub(super) fn keep_allocated(spec: &mut Value, old: &Value) {
    let needs_ip = |spec: &Value| text(spec, "type") != "ExternalName";
    if needs_ip(spec) && needs_ip(old) {
        for field in ["clusterIP", "clusterIPs"] {
            let is_empty =
                spec.lacks(field) || spec.list_at(&[field]).is_empty() && field == "clusterIPs";
            if is_empty && let Some(value) = old.get(field) {
                spec.put(field, value.clone());
            }
        }
    }
    if needs_node_ports(spec) && needs_node_ports(old) {
        let (old_ports, new_ports) = (node_ports(old), node_ports(spec));
        for port in spec.items_mut("ports") {
            let name = port.get("name").cloned();
            let known = old
                .list_at(&["ports"])
                .iter()
                .rfind(|old| old.get("name").cloned() == name);
            let known = known
                .and_then(|port| port.int_at(&["nodePort"]))
                .unwrap_or_default();
            let is_used = old_ports.contains(&known) && new_ports.contains(&known);
            if known != 0 && !is_used {
                port.default_number("nodePort", known);
            }
        }
    }
    let health = old.int_at(&["healthCheckNodePort"]).unwrap_or_default();
    if needs_health_check(spec) && needs_health_check(old) && health != 0 {
        spec.default_number("healthCheckNodePort", health);
    }
}

/// Fields that no longer apply go, unless the client changed them.
pub(super) fn drop_by_type(spec: &mut Value, old: &Value) {
    let same = |spec: &Value, field: &str| spec.get(field) == old.get(field);
    if text(old, "type") != "ExternalName" && text(spec, "type") == "ExternalName" {
        if same(spec, "clusterIP") && same(spec, "clusterIPs") {
            spec.drop_field("clusterIP");
            spec.drop_field("clusterIPs");
        }
        for field in ["ipFamilies", "ipFamilyPolicy"] {
            if same(spec, field) {
                spec.drop_field(field);
            }
        }
    }
    if needs_node_ports(old) && !needs_node_ports(spec) {
        let known = node_ports(old);
        if node_ports(spec).iter().all(|port| known.contains(port)) {
            for port in spec.items_mut("ports") {
                port.drop_field("nodePort");
            }
        }
    }
    if needs_health_check(old) && !needs_health_check(spec) && same(spec, "healthCheckNodePort") {
        spec.drop_field("healthCheckNodePort");
    }
    if text(old, "type") == "LoadBalancer" && text(spec, "type") != "LoadBalancer" {
        for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(spec, field) {
                spec.drop_field(field);
            }
        }
    }
    if is_externally_accessible(old)
        && !is_externally_accessible(spec)
        && same(spec, "externalTrafficPolicy")
    {
        spec.drop_field("externalTrafficPolicy");
    }
}

/// The node ports a Service has.
pub(super) fn node_ports(spec: &Value) -> Vec<i64> {
    let ports = spec.list_at(&["ports"]).iter();
    ports
        .filter_map(|port| port.int_at(&["nodePort"]))
        .filter(|port| *port != 0)
        .collect()
}

/// Settles `ipFamilyPolicy` and `ipFamilies`.
pub(super) fn settle(spec: &mut Value, old: Option<&Value>, ranges: &Ranges) -> Vec<FieldError> {
    if text(spec, "type") == "ExternalName" {
        return Vec::new();
    }
    let is_headless = text(spec, "clusterIP") == "None";
    let has_selector = spec
        .at(&["selector"])
        .and_then(Value::as_object)
        .is_some_and(|map| !map.is_empty());
    // An empty text is a value here, and none of those that are known.
    if spec.get("ipFamilyPolicy").is_none_or(Value::is_null) {
        let known = old.and_then(|old| old.get("ipFamilyPolicy")).cloned();
        let default = if is_headless && !has_selector {
            "RequireDualStack"
        } else {
            "SingleStack"
        };
        spec.put("ipFamilyPolicy", known.unwrap_or_else(|| default.into()));
    }
    let errors = super::validate::linked_fields(spec, old);
    if !errors.is_empty() {
        return errors;
    }
    let errors = release_errors(spec, old);
    if !errors.is_empty() {
        return errors;
    }
    let mut families: Vec<String> = texts(spec, "ipFamilies");
    let errors = families_of_ips(spec, &mut families, ranges);
    if !errors.is_empty() {
        return errors;
    }
    let is_single = text(spec, "ipFamilyPolicy") == "SingleStack";
    let primary = ranges
        .service_cidrs
        .first()
        .map_or("IPv4", |(address, _)| family(address));
    if is_headless && !has_selector {
        if families.is_empty() {
            families.push(primary.into());
        }
        if families.len() < 2 && !is_single {
            families.extend(families.first().map(|family| other(family).to_owned()));
        }
        spec.put("ipFamilies", families);
        return Vec::new();
    }
    let errors = configured(spec, &families, ranges);
    if !errors.is_empty() {
        return errors;
    }
    if families.is_empty() {
        families.push(primary.into());
    }
    if !is_single && families.len() == 1 && ranges.service_cidrs.len() == 2 {
        families.extend(families.first().map(|family| other(family).to_owned()));
    }
    spec.put("ipFamilies", families);
    Vec::new()
}

fn release_errors(spec: &mut Value, old: Option<&Value>) -> Vec<FieldError> {
    let path = Path::new("spec").child("ipFamilyPolicy");
    let policy = text(spec, "ipFamilyPolicy").to_owned();
    let is_single = policy == "SingleStack";
    let mut errors = Vec::new();
    for (field, what) in [("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")] {
        let is = texts(spec, field);
        let was = old.map(|old| texts(old, field)).unwrap_or_default();
        if is_single && old.is_some() && is == was && is.len() > 1 {
            spec.put(field, is.into_iter().take(1).collect::<Vec<_>>());
        } else if !is_single && was.len() == 2 && is.len() == 1 && was.first() == is.first() {
            let detail = format!("must be 'SingleStack' to release the secondary {what}");
            errors.push(FieldError::invalid(&path, policy.as_str(), detail));
        }
    }
    for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if is_single && texts(spec, field).len() == 2 {
            let detail = format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            );
            errors.push(FieldError::invalid(&path, policy.as_str(), detail));
        }
    }
    errors
}

fn families_of_ips(spec: &Value, families: &mut Vec<String>, ranges: &Ranges) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let ips = texts(spec, "clusterIPs");
    for (index, ip) in ips.iter().enumerate() {
        if ip == "None" {
            break;
        }
        if index < families.len() {
            continue;
        }
        let family = if ip.contains(':') { "IPv6" } else { "IPv4" };
        if is_configured(family, ranges) {
            families.push(family.into());
        } else {
            let path = Path::new("spec").child("clusterIPs").index(index);
            let detail = format!("{family} is not configured on this cluster");
            errors.push(FieldError::invalid(&path, json!(ips), detail));
        }
    }
    errors
}

fn configured(spec: &Value, families: &[String], ranges: &Ranges) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let root = Path::new("spec");
    if text(spec, "ipFamilyPolicy") == "RequireDualStack" && ranges.service_cidrs.len() < 2 {
        let detail = "this cluster is not configured for dual-stack services";
        errors.push(FieldError::invalid(
            &root.child("ipFamilyPolicy"),
            "RequireDualStack",
            detail,
        ));
    }
    for (index, family) in families.iter().enumerate() {
        if !is_configured(family, ranges) {
            let path = root.child("ipFamilies").index(index);
            errors.push(FieldError::invalid(
                &path,
                family.as_str(),
                "not configured on this cluster",
            ));
        }
    }
    errors
}

fn is_configured(name: &str, ranges: &Ranges) -> bool {
    ranges
        .service_cidrs
        .iter()
        .any(|(address, _)| family(address) == name)
}

/// The family of an address, as the API names it.
pub(super) fn family(address: &IpAddr) -> &'static str {
    if address.is_ipv6() { "IPv6" } else { "IPv4" }
}

fn other(family: &str) -> &'static str {
    if family == "IPv4" { "IPv6" } else { "IPv4" }
}

/// The texts of a list field.
pub(super) fn texts(spec: &Value, field: &str) -> Vec<String> {
    let items = spec.list_at(&[field]).iter();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
