//! EndpointSlice.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, Path, names};

use crate::check::{Errors, Node, ip, ip_warning, parse_ip, strict_ip};
use crate::core::endpoint_ip;
use crate::metadata::invalid;

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const HINTS_MAX: usize = 8;
/// Source: `discovery/v1 LabelManagedBy`.
const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// Who writes addresses in the right form. Source: `ControllerName` of both controllers.
const CONTROLLERS: [&str; 2] = [
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
];

/// A rule for names.
type Rule = fn(&str) -> Vec<String>;

/// Source: `ValidateEndpointSlice`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    root.needs_one_of("addressType", &["FQDN", "IPv4", "IPv6"], errors);
    ports(&root, errors);
    let endpoints = root.items("endpoints");
    if endpoints.len() > ENDPOINTS_MAX {
        errors.push(FieldError::too_many(
            &root.at("endpoints"),
            endpoints.len(),
            ENDPOINTS_MAX,
        ));
        return;
    }
    for endpoint in endpoints {
        self::endpoint(&endpoint, root.text("addressType"), errors);
    }
}

fn ports(root: &Node<'_>, errors: &mut Errors) {
    let ports = root.items("ports");
    if ports.len() > PORTS_MAX {
        errors.push(FieldError::too_many(
            &root.at("ports"),
            ports.len(),
            PORTS_MAX,
        ));
        return;
    }
    let mut known = BTreeSet::new();
    for port in ports {
        let name = port.text("name");
        if !name.is_empty() {
            port.complain("name", names::dns1123_label(name), errors);
        }
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&port.at("name"), name));
        }
        port.points_to_one_of("protocol", &["SCTP", "TCP", "UDP"], errors);
        if port.has("appProtocol") {
            port.complain(
                "appProtocol",
                names::qualified_name(port.text("appProtocol")),
                errors,
            );
        }
    }
}

fn endpoint(endpoint: &Node<'_>, kind: &str, errors: &mut Errors) {
    let addresses = endpoint.texts("addresses");
    let path = endpoint.at("addresses");
    if addresses.is_empty() {
        errors.push(FieldError::required(
            &path,
            "must contain at least 1 address",
        ));
    } else if addresses.len() > ADDRESSES_MAX {
        errors.push(FieldError::too_many(&path, addresses.len(), ADDRESSES_MAX));
    }
    self::addresses(&path, &addresses, kind, errors);
    if endpoint.has("nodeName") {
        endpoint.complain(
            "nodeName",
            names::dns1123_subdomain(endpoint.text("nodeName")),
            errors,
        );
    }
    if endpoint.has("hostname") {
        endpoint.complain(
            "hostname",
            names::dns1123_label(endpoint.text("hostname")),
            errors,
        );
    }
    let hints = endpoint.child("hints");
    let rules: [(&str, Rule); 2] = [
        ("forZones", names::label_value),
        ("forNodes", names::dns1123_subdomain),
    ];
    for (field, rule) in rules {
        let items = hints.items(field);
        if items.len() > HINTS_MAX {
            errors.push(FieldError::too_many(
                &hints.at(field),
                items.len(),
                HINTS_MAX,
            ));
        }
        let mut known = BTreeSet::new();
        for item in &items {
            let name = item.text("name");
            if !known.insert(name) {
                errors.push(FieldError::duplicate(&item.at("name"), name));
            }
            item.complain("name", rule(name), errors);
        }
    }
}

fn addresses(path: &Path, addresses: &[&str], kind: &str, errors: &mut Errors) {
    for (index, address) in addresses.iter().enumerate() {
        let at = path.index(index);
        let complaints = match kind {
            "FQDN" => {
                errors.extend(domain(&at, address));
                continue;
            }
            "IPv4" => ip(address),
            "IPv6" => strict_ip(address),
            // What the addresses are is not known.
            _ => continue,
        };
        if !complaints.is_empty() {
            errors.extend(invalid(&at, address, complaints));
            continue;
        }
        let is_v4 = parse_ip(address).is_some_and(|address| address.is_ipv4());
        if is_v4 != (kind == "IPv4") {
            errors.push(FieldError::invalid(
                path,
                *address,
                format!("must be an {kind} address"),
            ));
        }
        errors.extend(endpoint_ip(address).map(|why| FieldError::invalid(&at, *address, why)));
    }
}

/// What is wrong with a domain of several labels. Source: apimachinery `IsFullyQualifiedDomainName`.
fn domain(path: &Path, name: &str) -> Option<FieldError> {
    if name.is_empty() {
        return Some(FieldError::required(path, ""));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let complaints = names::dns1123_subdomain(name);
    if !complaints.is_empty() {
        return Some(FieldError::invalid(path, name, complaints.join(",")));
    }
    if !name.contains('.') {
        let why = "should be a domain with at least two segments separated by dots";
        return Some(FieldError::invalid(path, name, why));
    }
    name.split('.').find_map(|label| {
        let complaints = names::dns1123_label(label);
        (!complaints.is_empty()).then(|| FieldError::invalid(path, label, complaints.join(",")))
    })
}

/// New slices with domains are on their way out, and so are addresses in other forms than one.
///
/// Source: `warnOnDeprecatedAddressType`, `warnOnBadIPs`.
pub(super) fn warnings(new: &Object, old: Option<&Object>) -> Vec<String> {
    let root = Node::root(new);
    let mut warnings = Vec::new();
    if old.is_none() && root.text("addressType") == "FQDN" {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
    }
    let managed_by = new.label(MANAGED_BY_LABEL);
    if managed_by.is_some_and(|name| CONTROLLERS.contains(&name)) {
        return warnings;
    }
    for endpoint in root.items("endpoints") {
        let path = endpoint.at("addresses");
        let addresses = endpoint.texts("addresses").into_iter().enumerate();
        warnings.extend(addresses.filter_map(|(at, text)| ip_warning(&path.index(at), text)));
    }
    warnings
}

/// The address type of a slice stays. Endpoints that stay as they are may be of older rules.
///
/// Source: `ValidateEndpointSliceUpdate`.
pub(super) fn change(new: &Object, old: &Object, errors: &mut Errors) {
    if new.get("endpoints") == old.get("endpoints") {
        errors.retain(|error| !error.field.starts_with("endpoints"));
    }
    Node::root(new).immutable(&Node::root(old), "addressType", errors);
}
