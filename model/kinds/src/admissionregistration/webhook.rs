//! Webhook configurations. Source: pkg/apis/admissionregistration/validation.

use std::collections::BTreeSet;

use meta::{FieldError, Object, names};

use super::condition::conditions;
use crate::check::{Errors, Node, label_selector};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// A new configuration of either sort.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    configuration(object, true, errors);
}

/// A changed configuration; conditions that are as they were are not looked at.
pub(super) fn changed(new: &Object, old: &Object, errors: &mut Errors) {
    let (hooks, olds) = (
        Node::root(new).items("webhooks"),
        Node::root(old).items("webhooks"),
    );
    let is_same = hooks.len() == olds.len()
        && hooks.iter().zip(&olds).all(|(new, old)| {
            new.child("matchConditions").value == old.child("matchConditions").value
        });
    configuration(new, !is_same, errors);
}

fn configuration(object: &Object, looks_at_conditions: bool, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for hook in Node::root(object).items("webhooks") {
        self::hook(&hook, errors);
        if looks_at_conditions {
            conditions(&hook, false, errors);
        }
        review_versions(&hook, errors);
        let name = hook.text("name");
        if !name.is_empty() && !known.insert(name) {
            errors.push(FieldError::duplicate(&hook.at("name"), name));
        }
    }
}

fn hook(hook: &Node<'_>, errors: &mut Errors) {
    qualified(hook, errors);
    for rule in hook.items("rules") {
        rule_with_operations(&rule, errors);
    }
    for (field, valid) in [
        ("failurePolicy", ["Fail", "Ignore"]),
        ("matchPolicy", ["Equivalent", "Exact"]),
    ] {
        if hook.has(field) {
            hook.one_of(field, &valid, errors);
        }
    }
    if hook.has("sideEffects") {
        hook.one_of("sideEffects", &["None", "NoneOnDryRun"], errors);
    } else {
        let why = "must specify one of None, NoneOnDryRun";
        errors.push(FieldError::required(&hook.at("sideEffects"), why));
    }
    if let Some(seconds) = hook
        .int("timeoutSeconds")
        .filter(|seconds| !(1..=30).contains(seconds))
    {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(
            &hook.at("timeoutSeconds"),
            seconds,
            why,
        ));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        label_selector(&hook.child(selector), errors);
    }
    if hook.has("reinvocationPolicy") {
        hook.one_of("reinvocationPolicy", &["IfNeeded", "Never"], errors);
    }
    let client = hook.child("clientConfig");
    match (client.has("url"), client.get("service")) {
        (true, None) => super::url::url(&client, errors),
        (false, Some(service)) => self::service(&service, errors),
        _ => {
            let why = "exactly one of url or service is required";
            errors.push(FieldError::required(&client.path, why));
        }
    }
}

/// A name of at least three parts. Source: `IsFullyQualifiedName`.
fn qualified(hook: &Node<'_>, errors: &mut Errors) {
    let name = hook.text("name");
    if name.is_empty() {
        hook.needs("name", errors);
        return;
    }
    let complaints = names::dns1123_subdomain(name);
    if !complaints.is_empty() {
        hook.complain("name", complaints, errors);
    } else if name.split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(&hook.at("name"), name, why));
    }
}

/// A rule and the operations it is for.
pub(super) fn rule_with_operations(rule: &Node<'_>, errors: &mut Errors) {
    let operations = rule.texts("operations");
    if operations.is_empty() {
        errors.push(FieldError::required(&rule.at("operations"), ""));
    }
    wildcard(rule, "operations", "operations", errors);
    for (index, operation) in operations.iter().enumerate() {
        if !OPERATIONS.contains(operation) {
            let path = rule.at("operations").index(index);
            errors.push(FieldError::not_supported(&path, *operation, &OPERATIONS));
        }
    }
    for (field, words) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        if !rule.has_items(field) {
            errors.push(FieldError::required(&rule.at(field), ""));
        }
        wildcard(rule, field, words, errors);
    }
    for (index, version) in rule.texts("apiVersions").iter().enumerate() {
        if version.is_empty() {
            errors.push(FieldError::required(
                &rule.at("apiVersions").index(index),
                "",
            ));
        }
    }
    resources(rule, errors);
    if rule.has("scope") {
        rule.one_of("scope", &["*", "Cluster", "Namespaced"], errors);
    }
}

fn wildcard(rule: &Node<'_>, field: &str, words: &str, errors: &mut Errors) {
    let items = rule.texts(field);
    if items.len() > 1 && items.contains(&"*") {
        let why = format!("if '*' is present, must not specify other {words}");
        errors.push(FieldError::invalid(
            &rule.at(field),
            rule.child(field).value.clone(),
            why,
        ));
    }
}

/// Source: `validateResources`.
fn resources(rule: &Node<'_>, errors: &mut Errors) {
    let resources = rule.texts("resources");
    let list = rule.child("resources");
    if resources.is_empty() {
        errors.push(FieldError::required(&list.path, ""));
    }
    // What stands in front of `/*` and behind `*/`, and whether the last resource without a part is a named one.
    let (mut wholes, mut parts) = (BTreeSet::new(), BTreeSet::new());
    let mut has_named_main = false;
    for (index, resource) in resources.iter().enumerate() {
        let path = list.path.index(index);
        if resource.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        let Some((name, part)) = resource.split_once('/') else {
            has_named_main = *resource != "*";
            continue;
        };
        for (is_covered, cover) in [
            (wholes.contains(name), format!("{name}/*")),
            (parts.contains(part), format!("*/{part}")),
        ] {
            if is_covered {
                let why = format!("if '{cover}' is present, must not specify {resource}");
                errors.push(FieldError::invalid(&path, *resource, why));
            }
        }
        if part == "*" {
            wholes.insert(name);
        }
        if name == "*" {
            parts.insert(part);
        }
    }
    if resources.len() > 1 && resources.contains(&"*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(&list.path, list.value.clone(), why));
    }
    if resources.contains(&"*") && has_named_main {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(&list.path, list.value.clone(), why));
    }
}

fn service(service: &Node<'_>, errors: &mut Errors) {
    // Upstream hands the two over in the wrong order, so that what is missing is told of the other.
    for (field, told) in [("namespace", "name"), ("name", "namespace")] {
        if service.text(field).is_empty() {
            errors.push(FieldError::required(&service.at(told), ""));
        }
    }
    let port = service.int("port").unwrap_or(443);
    if !(1..=65535).contains(&port) {
        let why = format!("port is not valid: {}", names::in_range(1, 65535));
        errors.push(FieldError::invalid(&service.at("port"), port, why));
    }
    let text = service.text("path");
    let path = service.at("path");
    if text.is_empty() || text == "/" {
        return;
    }
    if text == "//" {
        let why = "segment[0] may not be empty";
        errors.push(FieldError::invalid(&path, text, why));
        return;
    }
    if !text.starts_with('/') {
        errors.push(FieldError::invalid(&path, text, "must start with a '/'"));
    }
    // Whatever the first character is, upstream goes on behind it.
    let mut rest = text.chars();
    rest.next();
    let rest = rest.as_str();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    for (index, step) in rest.split('/').enumerate() {
        if step.is_empty() {
            let why = format!("segment[{index}] may not be empty");
            errors.push(FieldError::invalid(&path, text, why));
        }
        for why in names::dns1123_subdomain(step)
            .into_iter()
            .filter(|_| !step.is_empty())
        {
            errors.push(FieldError::invalid(
                &path,
                text,
                format!("segment[{index}]: {why}"),
            ));
        }
    }
}

fn review_versions(hook: &Node<'_>, errors: &mut Errors) {
    let versions = hook.texts("admissionReviewVersions");
    let path = hook.at("admissionReviewVersions");
    if versions.is_empty() {
        errors.push(FieldError::required(
            &path,
            "must specify one of v1, v1beta1",
        ));
        return;
    }
    let mut known = BTreeSet::new();
    for (index, version) in versions.iter().enumerate() {
        if !known.insert(*version) {
            errors.push(FieldError::invalid(
                &path.index(index),
                *version,
                "duplicate version",
            ));
            continue;
        }
        errors.extend(crate::metadata::invalid(
            &path.index(index),
            version,
            names::dns1035_label(version),
        ));
    }
    if !versions
        .iter()
        .any(|version| REVIEW_VERSIONS.contains(version))
    {
        let why = "must include at least one of v1, v1beta1";
        errors.push(FieldError::invalid(
            &path,
            hook.child("admissionReviewVersions").value.clone(),
            why,
        ));
    }
}
