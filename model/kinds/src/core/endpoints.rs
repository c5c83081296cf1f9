//! Endpoints.

use meta::{FieldError, Object, names};

use super::service::validate::endpoint_ip;
use crate::check::{Errors, Node, ip};
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

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
    let is_ip = complaints.is_empty();
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
    if is_ip {
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
