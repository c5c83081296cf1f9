//! Resource requests, limits and claims.

use std::collections::BTreeSet;

use meta::{FieldError, Path, names};

use crate::amounts;
use crate::check::{Errors, NEGATIVE, Node, is_fractional, quantity};

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
            value.value.clone(),
            NEGATIVE,
        ));
    }
    if (WHOLE.contains(&name) || is_extended(name)) && is_fractional(&amount) {
        errors.push(FieldError::invalid(
            &value.path,
            value.value.clone(),
            NOT_WHOLE,
        ));
    }
}

/// The name of a resource that a pod as a whole may ask for. Source: `validatePodResourceName`.
fn pod_resource_name(name: &str, path: &Path, errors: &mut Errors) {
    let before = errors.len();
    resource_name(name, path, errors);
    if errors.len() == before && !matches!(name, "cpu" | "memory") && !is_huge(name) {
        let known = ["cpu", "hugepages-", "memory"];
        errors.push(FieldError::not_supported(path, name, &known));
    }
}

/// What a pod takes besides its containers, which upstream checks as limits of one. Source: `validateOverhead`.
pub(crate) fn overhead(amounts: &Node<'_>, path: &Path, errors: &mut Errors) {
    let limits = serde_json::json!({"limits": amounts.value});
    let limits = Node {
        value: &limits,
        path: path.clone(),
    };
    requirements(&limits, &BTreeSet::new(), errors);
}

/// Requests and limits of a container.
pub(super) fn requirements(resources: &Node<'_>, claims: &BTreeSet<String>, errors: &mut Errors) {
    required(resources, container_resource_name, claims, errors);
}

/// Requests, limits and claims, with names that a rule judges. Source: `validateResourceRequirements`.
fn required(
    resources: &Node<'_>,
    check_name: fn(&str, &Path, &mut Errors),
    claims: &BTreeSet<String>,
    errors: &mut Errors,
) {
    let limits = resources.entries("limits");
    let requests = resources.entries("requests");
    for (name, limit) in &limits {
        check_name(name, &limit.path, errors);
        amount(name, limit, errors);
        huge_page_fraction(name, limit, errors);
    }
    for (name, request) in &requests {
        check_name(name, &request.path, errors);
        amount(name, request, errors);
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
    claimed(resources, claims, errors);
}

/// Claims for devices are known, and named once. Source: `validateResourceClaimNames`.
fn claimed(resources: &Node<'_>, claims: &BTreeSet<String>, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for claim in resources.items("claims") {
        let (name, request) = (claim.text("name"), claim.text("request"));
        if name.is_empty() {
            errors.push(FieldError::required(&claim.path, ""));
            continue;
        }
        if known.contains(name) {
            // All requests of that claim are meant already.
            errors.push(FieldError::duplicate(&claim.path, name));
        } else {
            let mut key = name.to_owned();
            if !request.is_empty() {
                claim.complain("request", names::dns1123_label(request), errors);
                key = format!("{name}/{request}");
            }
            let is_part = |known: &&String| known.split_once('/').is_some_and(|(of, _)| of == name);
            if known.contains(&key) {
                errors.push(FieldError::duplicate(&claim.path, key.as_str()));
            } else if request.is_empty() {
                let parts = known.iter().filter(is_part);
                errors.extend(parts.map(|_| FieldError::duplicate(&claim.path, name)));
            }
            known.insert(key);
        }
        if !claims.contains(name) {
            errors.push(unknown_claim(&claim.path, name, claims));
        }
    }
}

fn unknown_claim(path: &Path, name: &str, claims: &BTreeSet<String>) -> FieldError {
    let mut error = FieldError::not_found(path, name);
    let names: Vec<&str> = claims.iter().map(String::as_str).collect();
    let which = match names.as_slice() {
        [] => " which is empty".to_owned(),
        names => format!(": {}", names.join(", ")),
    };
    error.detail = format!("must be one of the names in pod.spec.resourceClaims{which}");
    error
}

/// Huge pages come whole. Source: `validateResourceQuantityHugePageValue`.
fn huge_page_fraction(name: &str, value: &Node<'_>, errors: &mut Errors) {
    let Some(size) = name.strip_prefix("hugepages-") else {
        return;
    };
    let size = meta::Quantity::parse(size).ok();
    let size = size.filter(|size| !is_fractional(size));
    let size = size.map(|size| size.value()).filter(|size| *size > 0);
    let amount = quantity(value.value);
    if size.is_none_or(|size| amount.value() % size != 0) {
        let amount = amount.to_string();
        let why = format!("{amount} is not positive integer multiple of {name}");
        errors.push(FieldError::invalid(&value.path, amount, why));
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

/// Pod-level requests and limits. Source: `validatePodResources`.
pub(super) fn pod_level(spec: &Node<'_>, claims: &BTreeSet<String>, errors: &mut Errors) {
    let Some(resources) = spec.get("resources") else {
        return;
    };
    if resources.has("claims") {
        let why = "claims may not be set for Resources at pod-level";
        errors.push(FieldError::forbidden(&resources.at("claims"), why));
    }
    required(&resources, pod_resource_name, claims, errors);
    within_pod(spec, &resources, errors);
}

/// What containers ask for fits into what the pod asks for. Source: `validatePodResourceConsistency`.
fn within_pod(spec: &Node<'_>, resources: &Node<'_>, errors: &mut Errors) {
    for list in ["requests", "limits"] {
        for (name, sum) in amounts::of_containers(spec.value, list) {
            let amount = resources.child(list).get(&name);
            let Some(amount) = amount.filter(|_| list == "requests" || is_huge(&name)) else {
                continue;
            };
            let whole = quantity(amount.value);
            if sum > whole {
                let why =
                    format!("must be greater than or equal to aggregate container {list} of {sum}");
                let path = resources.at(list).key(&name);
                errors.push(FieldError::invalid(&path, whole.to_string(), why));
            }
        }
    }
    let limits = resources.child("limits");
    for (index, container) in spec.items("containers").iter().enumerate() {
        for (name, limit) in container.child("resources").entries("limits") {
            let Some(whole) = limits.get(name).map(|whole| quantity(whole.value)) else {
                continue;
            };
            let limit = quantity(limit.value);
            if limit > whole {
                let path = resources
                    .at("containers")
                    .index(index)
                    .key(name)
                    .child("limits");
                let why = format!("must be less than or equal to pod limits of {whole}");
                errors.push(FieldError::invalid(&path, limit.to_string(), why));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_fit_into_what_the_pod_asks_for() {
        let spec = |pod: serde_json::Value| {
            json!({"resources": pod, "containers": [
                {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}},
                {"resources": {"requests": {"cpu": "1500m"}}}]})
        };
        for (pod, wanted) in [
            (
                json!({"requests": {"cpu": "3"}, "limits": {"cpu": "3"}}),
                "",
            ),
            (
                json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}),
                "spec.resources.requests[cpu]: Invalid value: \"2\": must be greater than or equal to aggregate container requests of 2500m; spec.resources.containers[0][cpu].limits: Invalid value: \"3\": must be less than or equal to pod limits of 2",
            ),
            (
                json!({"limits": {"hugepages-2Mi": "2Mi"}}),
                "spec.resources: Forbidden: HugePages require cpu or memory",
            ),
        ] {
            let (pod, mut errors) = (json!({"spec": spec(pod)}), Errors::new());
            pod_level(
                &Node::root(&pod).child("spec"),
                &BTreeSet::new(),
                &mut errors,
            );
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.join("; "), wanted);
        }
    }

    #[test]
    fn claims_are_known_and_named_once() {
        let claims = json!([{"name": "a", "request": "r"}, {"name": "a", "request": "R"}, {"name": "a"},
            {"name": "a"}, {}, {"name": "b"}]);
        let resources = json!({"claims": claims, "limits": {"gpu": "1"}});
        let known = BTreeSet::from(["a".to_owned()]);
        let mut errors = Errors::new();
        required(
            &Node::root(&resources),
            pod_resource_name,
            &known,
            &mut errors,
        );
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let of = |path: &str| {
            errors
                .iter()
                .filter(|error| error.starts_with(path))
                .count()
        };
        assert_eq!(of("limits[gpu]: Invalid"), 1);
        assert_eq!(of("claims[1].request: Invalid"), 1);
        assert_eq!(of("claims[2]: Duplicate"), 2);
        assert_eq!(of("claims[3]: Duplicate"), 1);
        assert_eq!(of("claims[4]: Required"), 1);
        assert_eq!(of("claims[5]: Not found"), 1);
        assert_eq!(errors.len(), 7);
    }
}
