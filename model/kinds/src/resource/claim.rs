//! What a claim of devices may ask for, and what a class of devices says. Source: `pkg/apis/resource/validation`.

use std::collections::BTreeMap;

use meta::{FieldError, names};
use serde_json::Value;

use super::names::{fits, fully_qualified, itself, label, name_of, unique};
use super::selector;
use crate::check::{Errors, Node};
use crate::core::csi_driver_name;

/// Source: `DeviceRequestsMaxSize`.
pub(super) const REQUESTS_MAX: usize = 32;
/// Source: `DeviceConstraintsMaxSize`.
const CONSTRAINTS_MAX: usize = 32;
/// Source: `DeviceConfigMaxSize`.
pub(super) const CONFIG_MAX: usize = 32;
/// Source: `FirstAvailableDeviceRequestMaxSize`.
const ALTERNATIVES_MAX: usize = 8;
/// Source: `DeviceSelectorsMaxSize`.
const SELECTORS_MAX: usize = 32;
/// Source: `CELSelectorExpressionMaxLength`.
const EXPRESSION_BYTES_MAX: usize = 10 * 1024;
/// Source: `OpaqueParametersMaxLength`.
pub(super) const PARAMETERS_BYTES_MAX: usize = 10 * 1024;
/// Source: `validDeviceTaintEffects`.
pub(super) const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const REFERENCE: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

/// The names of requests, each with those of its alternatives.
pub(super) type Requests<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Source: `gatherRequestNames`.
pub(super) fn requests<'a>(devices: &Node<'a>) -> Requests<'a> {
    let alternatives = |request: &Node<'a>| {
        let alternatives = request.items("firstAvailable");
        alternatives.iter().map(|one| one.text("name")).collect()
    };
    let requests = devices.items("requests");
    requests
        .iter()
        .map(|request| (request.text("name"), alternatives(request)))
        .collect()
}

/// Source: `validateDeviceClaim`.
pub(super) fn devices(devices: &Node<'_>, errors: &mut Errors) {
    let known = requests(devices);
    if fits(devices, "requests", REQUESTS_MAX, errors) {
        for one in devices.items("requests") {
            request(&one, errors);
        }
        unique(devices, "requests", name_of, errors);
    }
    if fits(devices, "constraints", CONSTRAINTS_MAX, errors) {
        for one in devices.items("constraints") {
            references(&one, &known, errors);
            constraint(&one, errors);
        }
    }
    if fits(devices, "config", CONFIG_MAX, errors) {
        for one in devices.items("config") {
            references(&one, &known, errors);
            configuration(&one, errors);
        }
    }
}

fn request(request: &Node<'_>, errors: &mut Errors) {
    label(request, "name", errors);
    match (request.has("exactly"), request.has_items("firstAvailable")) {
        (false, false) => errors.push(FieldError::required(
            &request.path,
            "exactly one of `exactly` or `firstAvailable` is required",
        )),
        (true, true) => errors.push(FieldError::invalid(
            &request.path,
            Value::Null,
            "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set",
        )),
        (true, false) => wanted(&request.child("exactly"), errors),
        (false, true) => {
            if !fits(request, "firstAvailable", ALTERNATIVES_MAX, errors) {
                return;
            }
            for one in request.items("firstAvailable") {
                label(&one, "name", errors);
                wanted(&one, errors);
            }
            unique(request, "firstAvailable", name_of, errors);
        }
    }
}

/// What devices are asked for. Source: `validateExactDeviceRequest`.
fn wanted(request: &Node<'_>, errors: &mut Errors) {
    let class = request.text("deviceClassName");
    if class.is_empty() {
        errors.push(FieldError::required(&request.at("deviceClassName"), ""));
    } else {
        request.complain("deviceClassName", names::dns1123_subdomain(class), errors);
    }
    selectors(request, errors);
    let count = request.int("count").unwrap_or_default();
    let path = request.at("count");
    match request.text("allocationMode") {
        "All" if count != 0 => {
            let why = "must not be specified when allocationMode is 'All'";
            errors.push(FieldError::invalid(&path, count, why));
        }
        "ExactCount" if count <= 0 => {
            errors.push(FieldError::invalid(
                &path,
                count,
                "must be greater than zero",
            ));
        }
        "All" | "ExactCount" => {}
        _ => request.one_of("allocationMode", &["All", "ExactCount"], errors),
    }
    // Upstream has a limit to their count and does not look at it.
    for one in request.items("tolerations") {
        toleration(&one, errors);
    }
}

/// Source: `validateSelectorSlice`.
pub(super) fn selectors(holder: &Node<'_>, errors: &mut Errors) {
    if !fits(holder, "selectors", SELECTORS_MAX, errors) {
        return;
    }
    for selector in holder.items("selectors") {
        let Some(cel) = selector.get("cel") else {
            errors.push(FieldError::required(&selector.at("cel"), ""));
            continue;
        };
        let text = cel.text("expression");
        if text.len() > EXPRESSION_BYTES_MAX {
            let path = cel.at("expression");
            errors.push(FieldError::too_long(&path, EXPRESSION_BYTES_MAX));
        } else {
            selector::check(&cel.at("expression"), text, errors);
        }
    }
}

/// Source: `validateDeviceToleration`.
fn toleration(toleration: &Node<'_>, errors: &mut Errors) {
    let (key, value) = (toleration.text("key"), toleration.text("value"));
    if !key.is_empty() {
        toleration.complain("key", names::qualified_name(key), errors);
    }
    match toleration.text("operator") {
        "Exists" if !value.is_empty() => {
            let why = "must be empty for operator `Exists`";
            errors.push(FieldError::invalid(&toleration.at("value"), value, why));
        }
        "Exists" => {}
        "Equal" => toleration.complain("value", names::label_value(value), errors),
        "" => toleration.needs("operator", errors),
        _ => toleration.one_of("operator", &["Equal", "Exists"], errors),
    }
    if !toleration.text("effect").is_empty() {
        toleration.one_of("effect", &EFFECTS, errors);
    }
}

/// The requests that something is about. Source: `validateRequestNameRef`.
pub(super) fn references(holder: &Node<'_>, known: &Requests<'_>, errors: &mut Errors) {
    if !fits(holder, "requests", REQUESTS_MAX, errors) {
        return;
    }
    for one in holder.items("requests") {
        reference(&one, known, errors);
    }
    unique(holder, "requests", itself, errors);
}

/// One name of a request, or of a request and its alternative.
pub(super) fn reference(one: &Node<'_>, known: &Requests<'_>, errors: &mut Errors) {
    let name = one.value.as_str().unwrap_or_default();
    let parts: Vec<&str> = name.split('/').collect();
    let is_known = match parts.as_slice() {
        [request] => known.contains_key(request),
        [request, alternative] => known
            .get(request)
            .is_some_and(|alternatives| alternatives.contains(alternative)),
        _ => {
            errors.push(FieldError::invalid(&one.path, name, REFERENCE));
            return;
        }
    };
    for part in parts {
        let complaints = names::dns1123_label(part).into_iter();
        errors.extend(complaints.map(|why| FieldError::invalid(&one.path, part, why)));
    }
    if !is_known {
        errors.push(FieldError::invalid(&one.path, name, REFERENCE));
    }
}

/// Source: `validateDeviceConstraint`.
fn constraint(constraint: &Node<'_>, errors: &mut Errors) {
    if constraint.has("matchAttribute") {
        fully_qualified(constraint, "matchAttribute", errors);
    } else if constraint.has("distinctAttribute") {
        fully_qualified(constraint, "distinctAttribute", errors);
    } else {
        let why = r#"exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set"#;
        errors.push(FieldError::required(&constraint.path, why));
    }
}

/// Source: `validateDeviceConfiguration`.
pub(super) fn configuration(config: &Node<'_>, errors: &mut Errors) {
    let Some(opaque) = config.get("opaque") else {
        errors.push(FieldError::required(&config.at("opaque"), ""));
        return;
    };
    csi_driver_name(&opaque, "driver", errors);
    raw(&opaque, "parameters", PARAMETERS_BYTES_MAX, errors);
}

/// A JSON object of somebody else's. Source: `validateRawExtension`.
pub(super) fn raw(holder: &Node<'_>, field: &str, max: usize, errors: &mut Errors) {
    let path = holder.at(field);
    match holder.child(field).value {
        Value::Null => errors.push(FieldError::required(&path, "")),
        value if value.to_string().len() > max => errors.push(FieldError::too_long(&path, max)),
        Value::Object(_) => {}
        _ => {
            let why = "must be a valid JSON object";
            errors.push(FieldError::invalid(&path, "<value omitted>", why));
        }
    }
}

/// Source: `validateDeviceClassSpec`.
pub(super) fn class(spec: &Node<'_>, errors: &mut Errors) {
    selectors(spec, errors);
    if fits(spec, "config", CONFIG_MAX, errors) {
        for one in spec.items("config") {
            configuration(&one, errors);
        }
    }
    let name = spec.text("extendedResourceName");
    if spec.has("extendedResourceName") && !is_extended(name) {
        let path = spec.at("extendedResourceName");
        let why = "must be a valid extended resource name";
        errors.push(FieldError::invalid(&path, name, why));
    }
}

/// Source: `v1helper.IsExtendedResourceName`.
fn is_extended(name: &str) -> bool {
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    let quota = format!("requests.{name}");
    !is_native && !name.starts_with("requests.") && names::qualified_name(&quota).is_empty()
}
