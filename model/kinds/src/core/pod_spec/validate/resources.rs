//! Resource requests, limits and claims.

use std::collections::BTreeSet;

use meta::{FieldError, Path, names};

use crate::check::{Errors, NEGATIVE, Node, quantity};

const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];
const WHOLE: [&str; 9] = [
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const NOT_WHOLE: &str = "must be an integer";

fn is_huge(name: &str) -> bool {
    name.starts_with("hugepages-")
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether a resource is one that a device plugin or an operator counts.
fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// The name of any resource. Source: `validateResourceName`.
pub(crate) fn resource_name(name: &str, path: &Path, errors: &mut Errors) -> bool {
    let complaints = names::qualified_name(name);
    if !complaints.is_empty() {
        errors.extend(crate::metadata::invalid(path, name, complaints));
        return false;
    }
    let is_standard =
        STANDARD.contains(&name) || is_huge(name) || name.starts_with("requests.hugepages-");
    if !name.contains('/') && !is_standard {
        let why = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(path, name, why));
    }
    true
}

/// The name of a resource that containers may ask for. Source: `validateContainerResourceName`.
fn container_resource_name(name: &str, path: &Path, errors: &mut Errors) {
    resource_name(name, path, errors);
    let why = if !name.contains('/') {
        if matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge(name) {
            return;
        }
        "must be a standard resource for containers"
    } else if !is_native(name) && !is_extended(name) {
        "doesn't follow extended resource name standard"
    } else {
        return;
    };
    errors.push(FieldError::invalid(path, name, why));
}

/// An amount: not negative, and whole where it counts things. Source: `ValidateResourceQuantityValue`.
pub(crate) fn amount(name: &str, value: &Node<'_>, errors: &mut Errors) {
    let amount = quantity(value.value);
    if amount.is_negative() {
        errors.push(FieldError::invalid(
            &value.path,
            amount.to_string(),
            NEGATIVE,
        ));
    }
    if (WHOLE.contains(&name) || is_extended(name)) && amount.milli_value() % 1000 != 0 {
        errors.push(FieldError::invalid(
            &value.path,
            amount.to_string(),
            NOT_WHOLE,
        ));
    }
}

/// One entry of a container's requests or limits.
pub(crate) fn container_resource(name: &str, value: &Node<'_>, errors: &mut Errors) {
    container_resource_name(name, &value.path, errors);
    amount(name, value, errors);
}

/// Requests and limits of a container. Source: `validateResourceRequirements`.
pub(super) fn requirements(resources: &Node<'_>, claims: &BTreeSet<String>, errors: &mut Errors) {
    let limits = resources.entries("limits");
    let requests = resources.entries("requests");
    for (name, limit) in &limits {
        container_resource(name, limit, errors);
        huge_page_fraction(name, limit, errors);
    }
    for (name, request) in &requests {
        container_resource(name, request, errors);
        request_within_limit(resources, name, request, errors);
        huge_page_fraction(name, request, errors);
    }
    let has =
        |wanted: fn(&str) -> bool| limits.iter().chain(&requests).any(|(name, _)| wanted(name));
    if has(is_huge) && !has(|name| matches!(name, "cpu" | "memory")) {
        errors.push(FieldError::forbidden(
            &resources.path,
            "HugePages require cpu or memory",
        ));
    }
    let mut known = BTreeSet::new();
    for claim in resources.items("claims") {
        let name = claim.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&claim.path, ""));
            continue;
        }
        let key = match claim.text("request") {
            "" => name.to_owned(),
            request => format!("{name}/{request}"),
        };
        if !known.insert(key.clone()) {
            errors.push(FieldError::duplicate(&claim.path, key));
        }
        if !claims.contains(name) {
            let mut error = FieldError::not_found(&claim.path, name);
            if claims.is_empty() {
                error.detail =
                    "must be one of the names in pod.spec.resourceClaims which is empty".into();
            } else {
                let names: Vec<&str> = claims.iter().map(String::as_str).collect();
                error.detail = format!(
                    "must be one of the names in pod.spec.resourceClaims: {}",
                    names.join(", ")
                );
            }
            errors.push(error);
        }
        if !claim.text("request").is_empty() {
            claim.complain(
                "request",
                names::dns1123_label(claim.text("request")),
                errors,
            );
        }
    }
}

fn huge_page_fraction(name: &str, value: &Node<'_>, errors: &mut Errors) {
    let size = name
        .strip_prefix("hugepages-")
        .and_then(|size| meta::Quantity::parse(size).ok());
    let size = size.map(|size| size.value()).filter(|size| *size > 0);
    if let Some(size) = size
        && quantity(value.value).value() % size != 0
    {
        let amount = quantity(value.value).to_string();
        errors.push(FieldError::invalid(&value.path, amount, NOT_WHOLE));
    }
}

fn request_within_limit(resources: &Node<'_>, name: &str, request: &Node<'_>, errors: &mut Errors) {
    let can_overcommit = is_native(name) && !is_huge(name);
    let path = resources.at("requests");
    let limits = resources.child("limits");
    let Some(limit) = limits.get(name) else {
        if !can_overcommit {
            let why = "Limit must be set for non overcommitable resources";
            errors.push(FieldError::required(&resources.at("limits"), why));
        }
        return;
    };
    let (asked, limit) = (quantity(request.value), quantity(limit.value));
    if !can_overcommit && asked != limit {
        let why = format!("must be equal to {name} limit of {limit}");
        errors.push(FieldError::invalid(&path, asked.to_string(), why));
    } else if can_overcommit && asked > limit {
        let why = format!("must be less than or equal to {name} limit of {limit}");
        errors.push(FieldError::invalid(&path, asked.to_string(), why));
    }
}

/// Pod-level requests and limits.
pub(super) fn pod_level(spec: &Node<'_>, errors: &mut Errors) {
    let Some(resources) = spec.get("resources") else {
        return;
    };
    if resources.has_items("claims") {
        let why = "claims may not be set for Resources at pod-level";
        errors.push(FieldError::forbidden(&resources.at("claims"), why));
    }
    for list in ["limits", "requests"] {
        for (name, value) in resources.entries(list) {
            let is_supported = matches!(name, "cpu" | "memory") || is_huge(name);
            container_resource(name, &value, errors);
            if !is_supported {
                errors.push(FieldError::not_supported(
                    &value.path,
                    name,
                    &["cpu", "hugepages-", "memory"],
                ));
            }
            if list == "requests" {
                request_within_limit(&resources, name, &value, errors);
            }
        }
    }
}

/// The pod's resource claims; returns their names. Source: `validatePodResourceClaims`.
pub(super) fn claims(spec: &Node<'_>, errors: &mut Errors) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for claim in spec.items("resourceClaims") {
        let name = claim.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&claim.at("name"), ""));
        } else if known.contains(name) {
            errors.push(FieldError::duplicate(&claim.at("name"), name));
        } else {
            claim.complain("name", names::dns1123_label(name), errors);
            known.insert(name.to_owned());
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let given: Vec<&str> = sources
            .into_iter()
            .filter(|source| claim.has(source))
            .collect();
        match given.as_slice() {
            [] => {
                let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.push(FieldError::invalid(&claim.path, claim.value.clone(), why));
            }
            [_] => {}
            _ => {
                let why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.push(FieldError::invalid(&claim.path, claim.value.clone(), why));
            }
        }
        for source in given {
            claim.complain(source, names::dns1123_subdomain(claim.text(source)), errors);
        }
    }
    known
}
