//! Endpoints.

use meta::{FieldError, Object, ObjectExt as _, names};

use super::service::validate::endpoint_ip;
use crate::check::{Errors, Node, ip, ip_warning};
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Source: `endpoint.LabelManagedBy`.
const MANAGED_BY_LABEL: &str = "endpoints.kubernetes.io/managed-by";

/// Rules of `v1 Endpoints`.
pub(crate) struct Endpoints;

impl Strategy for Endpoints {
    fn has_generation(&self) -> bool {
        false
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        for subset in Node::root(new).items("subsets") {
            self::subset(&subset, &mut errors);
        }
        errors
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        // What upstream's controller copies it writes in the right form.
        let managed_by = new.label(MANAGED_BY_LABEL);
        if managed_by == Some("endpoint-controller") {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        for subset in Node::root(new).items("subsets") {
            for list in ["addresses", "notReadyAddresses"] {
                let addresses = subset.items(list).into_iter();
                let told = addresses.filter_map(|one| ip_warning(&one.at("ip"), one.text("ip")));
                warnings.extend(told);
            }
        }
        warnings
    }
    print_with!(print::service::ENDPOINTS);
}

/// Source: `validateEndpointSubsets`.
fn subset(subset: &Node<'_>, errors: &mut Errors) {
    if !subset.has_items("addresses") && !subset.has_items("notReadyAddresses") {
        let why = "must specify `addresses` or `notReadyAddresses`";
        errors.push(FieldError::required(&subset.path, why));
    }
    for list in ["addresses", "notReadyAddresses"] {
        for address in subset.items(list) {
            self::address(&address, errors);
        }
    }
    let ports = subset.items("ports");
    for port in &ports {
        let name = port.text("name");
        if name.is_empty() && ports.len() > 1 {
            port.needs("name", errors);
        } else if !name.is_empty() {
            port.complain("name", names::dns1123_label(name), errors);
        }
        crate::check::port_or_name(port, "port", errors);
        port.needs_one_of("protocol", &["SCTP", "TCP", "UDP"], errors);
        if port.has("appProtocol") {
            port.complain(
                "appProtocol",
                names::qualified_name(port.text("appProtocol")),
                errors,
            );
        }
    }
}

fn address(address: &Node<'_>, errors: &mut Errors) {
    let text = address.text("ip");
    let complaints = ip(text);
    address.complain("ip", complaints, errors);
    if !address.text("hostname").is_empty() {
        address.complain(
            "hostname",
            names::dns1123_label(address.text("hostname")),
            errors,
        );
    }
    if address.has("nodeName") {
        address.complain(
            "nodeName",
            names::dns1123_subdomain(address.text("nodeName")),
            errors,
        );
    }
    // Upstream asks once more, and is less strict then.
    if crate::check::parse_ip(text).is_some() {
        errors
            .extend(endpoint_ip(text).map(|why| FieldError::invalid(&address.at("ip"), text, why)));
    } else {
        errors.push(FieldError::invalid(
            &address.at("ip"),
            text,
            "must be a valid IP address",
        ));
    }
}
