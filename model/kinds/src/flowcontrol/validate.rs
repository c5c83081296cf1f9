//! Flow schemas and priority levels. Source: pkg/apis/flowcontrol/validation.

use meta::{FieldError, Object, ObjectExt as _, names};

use crate::check::{Errors, Node};

const PRECEDENCE_MAX: i64 = 10_000;
const QUEUES_MAX: i64 = 10_000_000;

/// A FlowSchema.
pub(super) fn flow_schema(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let precedence = spec.int("matchingPrecedence").unwrap_or_default();
    let path = spec.at("matchingPrecedence");
    if precedence <= 0 {
        errors.push(FieldError::invalid(
            &path,
            precedence,
            "must be a positive value",
        ));
    }
    if precedence > PRECEDENCE_MAX {
        let why = format!("must not be greater than {PRECEDENCE_MAX}");
        errors.push(FieldError::invalid(&path, precedence, why));
    }
    if precedence == 1 && object.name() != "exempt" {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(FieldError::invalid(&path, precedence, why));
    }
    if let Some(method) = spec.get("distinguisherMethod") {
        method.one_of("type", &["ByNamespace", "ByUser"], errors);
    }
    let level = spec.child("priorityLevelConfiguration");
    if level.text("name").is_empty() {
        let why = "must reference a priority level";
        errors.push(FieldError::required(&level.at("name"), why));
    } else {
        level.complain("name", names::dns1123_subdomain(level.text("name")), errors);
    }
    for rule in spec.items("rules") {
        self::rule(&rule, errors);
    }
}

fn rule(rule: &Node<'_>, errors: &mut Errors) {
    if !rule.has_items("subjects") {
        let why = "subjects must contain at least one value";
        errors.push(FieldError::required(&rule.at("subjects"), why));
    }
    for subject in rule.items("subjects") {
        let (field, kinds) = match subject.text("kind") {
            "ServiceAccount" => ("serviceAccount", ["namespace", "name"].as_slice()),
            "User" => ("user", ["name"].as_slice()),
            "Group" => ("group", ["name"].as_slice()),
            _ => {
                subject.one_of("kind", &["Group", "ServiceAccount", "User"], errors);
                continue;
            }
        };
        match subject.get(field) {
            None => {
                let why = format!(
                    "{field} is required when subject kind is '{}'",
                    subject.text("kind")
                );
                errors.push(FieldError::required(&subject.at(field), why));
            }
            Some(holder) => kinds.iter().for_each(|kind| holder.needs(kind, errors)),
        }
    }
    if !rule.has_items("resourceRules") && !rule.has_items("nonResourceRules") {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(&rule.path, why));
    }
    for (list, fields) in [
        (
            "resourceRules",
            ["verbs", "apiGroups", "resources"].as_slice(),
        ),
        ("nonResourceRules", ["verbs", "nonResourceURLs"].as_slice()),
    ] {
        for policy in rule.items(list) {
            for field in fields.iter().filter(|field| !policy.has_items(field)) {
                errors.push(FieldError::required(
                    &policy.at(field),
                    format!("{field} must contain at least one value"),
                ));
            }
        }
    }
}

/// A PriorityLevelConfiguration.
pub(super) fn priority_level(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let kind = spec.text("type");
    if (object.name() == "exempt") != (kind == "Exempt") {
        let why = "must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(FieldError::invalid(&spec.at("type"), kind, why));
    }
    match kind {
        "Exempt" if spec.has("limited") => {
            let why = "must be nil if the type is not Limited";
            errors.push(FieldError::forbidden(&spec.at("limited"), why));
        }
        "Exempt" => {}
        "Limited" => {
            if spec.has("exempt") {
                let why = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden(&spec.at("exempt"), why));
            }
            match spec.get("limited") {
                None => {
                    let why = "must not be empty when type is Limited";
                    errors.push(FieldError::required(&spec.at("limited"), why));
                }
                Some(limited) => self::limited(&limited, errors),
            }
        }
        other => errors.push(FieldError::not_supported(
            &spec.at("type"),
            other,
            &["Exempt", "Limited"],
        )),
    }
}

fn limited(limited: &Node<'_>, errors: &mut Errors) {
    if let Some(shares) = limited
        .int("nominalConcurrencyShares")
        .filter(|shares| *shares < 0)
    {
        let path = limited.at("nominalConcurrencyShares");
        errors.push(FieldError::invalid(
            &path,
            shares,
            "must be a non-negative integer",
        ));
    }
    let response = limited.child("limitResponse");
    match (response.text("type"), response.get("queuing")) {
        ("Reject", Some(queuing)) => {
            let why = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(&queuing.path, why));
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(&response.at("queuing"), why));
        }
        ("Queue", Some(queuing)) => self::queuing(&queuing, errors),
        (other, _) => errors.push(FieldError::not_supported(
            &response.at("type"),
            other,
            &["Queue", "Reject"],
        )),
    }
    limited.in_range("lendablePercent", 0, 100, errors);
    if let Some(percent) = limited
        .int("borrowingLimitPercent")
        .filter(|percent| *percent < 0)
    {
        let why = "if specified, must be a non-negative integer";
        errors.push(FieldError::invalid(
            &limited.at("borrowingLimitPercent"),
            percent,
            why,
        ));
    }
}

fn queuing(queuing: &Node<'_>, errors: &mut Errors) {
    let number = |field: &str| queuing.int(field).unwrap_or_default();
    let queues = number("queues");
    for (field, most, why) in [
        ("queueLengthLimit", i64::MAX, String::new()),
        (
            "queues",
            QUEUES_MAX,
            format!("must not be greater than {QUEUES_MAX}"),
        ),
        (
            "handSize",
            queues,
            format!("should not be greater than queues ({queues})"),
        ),
    ] {
        let value = number(field);
        if value <= 0 {
            errors.push(FieldError::invalid(
                &queuing.at(field),
                value,
                "must be positive",
            ));
        } else if value > most {
            errors.push(FieldError::invalid(&queuing.at(field), value, why));
        }
    }
}
