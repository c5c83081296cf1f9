//! Affinity, tolerations, gates and spreading.

use std::collections::BTreeSet;

use meta::{FieldError, names};

use crate::check::{Errors, Node, label_selector};
use crate::metadata::invalid;

const IN_SELECTOR: &str = "not a valid selector operator";

/// `spec.affinity`.
pub(super) fn affinity(spec: &Node<'_>, errors: &mut Errors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let affinity = spec.child("affinity");
    if let Some(node) = affinity.get("nodeAffinity") {
        if let Some(required) = node.get(REQUIRED) {
            node_selector(&required, errors);
        }
        for term in node.items(PREFERRED) {
            weight(&term, errors);
            node_term(&term.child("preference"), false, errors);
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = affinity.child(kind);
        for term in affinity.items(REQUIRED) {
            pod_term(&term, errors);
        }
        for term in affinity.items(PREFERRED) {
            weight(&term, errors);
            pod_term(&term.child("podAffinityTerm"), errors);
        }
    }
}

fn weight(term: &Node<'_>, errors: &mut Errors) {
    let weight = term.int("weight").unwrap_or_default();
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(
            &term.at("weight"),
            weight,
            "must be in the range 1-100",
        ));
    }
}

/// A node selector. Source: `ValidateNodeSelector`.
pub(crate) fn node_selector(selector: &Node<'_>, errors: &mut Errors) {
    if !selector.has_items("nodeSelectorTerms") {
        let why = "must have at least one node selector term";
        errors.push(FieldError::required(&selector.at("nodeSelectorTerms"), why));
    }
    for term in selector.items("nodeSelectorTerms") {
        node_term(&term, true, errors);
    }
}

fn node_term(term: &Node<'_>, checks_values: bool, errors: &mut Errors) {
    for expression in term.items("matchExpressions") {
        let values = expression.texts("values");
        let path = expression.at("values");
        match expression.text("operator") {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(&path, why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(&path, why));
            }
            "Gt" | "Lt" if values.len() != 1 => {
                let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                errors.push(FieldError::required(&path, why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.push(FieldError::invalid(
                &expression.at("operator"),
                other,
                IN_SELECTOR,
            )),
        }
        expression.complain("key", names::qualified_name(expression.text("key")), errors);
        for (index, value) in values.iter().enumerate().filter(|_| checks_values) {
            errors.extend(invalid(
                &path.index(index),
                value,
                names::label_value(value),
            ));
        }
    }
    for field in term.items("matchFields") {
        let values = field.texts("values");
        match field.text("operator") {
            "In" | "NotIn" if values.len() != 1 => {
                let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.push(FieldError::required(&field.at("values"), why));
            }
            "In" | "NotIn" => {}
            other => errors.push(FieldError::invalid(
                &field.at("operator"),
                other,
                IN_SELECTOR,
            )),
        }
        if field.text("key") == "metadata.name" {
            for (index, value) in values.iter().enumerate() {
                let path = field.at("values").index(index);
                errors.extend(invalid(&path, value, names::dns1123_subdomain(value)));
            }
        } else {
            let why = "not a valid field selector key";
            errors.push(FieldError::invalid(
                &field.at("key"),
                field.text("key"),
                why,
            ));
        }
    }
}

fn pod_term(term: &Node<'_>, errors: &mut Errors) {
    for selector in ["labelSelector", "namespaceSelector"] {
        label_selector(&term.child(selector), errors);
    }
    for name in term.texts("namespaces") {
        errors.extend(invalid(
            &term.at("namespace"),
            name,
            names::dns1123_label(name),
        ));
    }
    label_keys(term, errors);
    let key = term.text("topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(
            &term.at("topologyKey"),
            "can not be empty",
        ));
    }
    term.complain("topologyKey", names::qualified_name(key), errors);
}

/// `matchLabelKeys` and `mismatchLabelKeys`. Source: `ValidateMatchLabelKeysAndMismatchLabelKeys`.
fn label_keys(term: &Node<'_>, errors: &mut Errors) {
    let (same, other) = (
        term.texts("matchLabelKeys"),
        term.texts("mismatchLabelKeys"),
    );
    for (field, keys) in [("matchLabelKeys", &same), ("mismatchLabelKeys", &other)] {
        if keys.is_empty() {
            continue;
        }
        if !term.has("labelSelector") {
            let why = "must not be specified when labelSelector is not set";
            errors.push(FieldError::forbidden(&term.at(field), why));
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            errors.extend(invalid(
                &term.at(field).index(index),
                key,
                names::qualified_name(key),
            ));
        }
    }
    let selector = term.child("labelSelector");
    let mut selected: BTreeSet<&str> = selector
        .entries("matchLabels")
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    for expression in selector.items("matchExpressions") {
        let key = expression.text("key");
        if let Some(index) = same.iter().position(|same| *same == key)
            && selected.contains(key)
        {
            let why = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(&term.path.index(index), key, why));
        }
        selected.insert(key);
    }
    for (index, key) in same
        .iter()
        .enumerate()
        .filter(|(_, key)| other.contains(key))
    {
        let why = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.push(FieldError::invalid(
            &term.at("matchLabelKeys").index(index),
            *key,
            why,
        ));
    }
}

/// `readinessGates` and `schedulingGates`.
pub(super) fn gates(spec: &Node<'_>, errors: &mut Errors) {
    for gate in spec.items("readinessGates") {
        gate.complain(
            "conditionType",
            names::qualified_name(gate.text("conditionType")),
            errors,
        );
    }
    let mut known = BTreeSet::new();
    for gate in spec.items("schedulingGates") {
        let name = gate.text("name");
        errors.extend(invalid(&gate.path, name, names::qualified_name(name)));
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&gate.path, name));
        }
    }
}

/// `topologySpreadConstraints`.
pub(super) fn spread(spec: &Node<'_>, errors: &mut Errors) {
    let constraints = spec.items("topologySpreadConstraints");
    for (index, constraint) in constraints.iter().enumerate() {
        positive(constraint, "maxSkew", errors);
        let (key, action) = (
            constraint.text("topologyKey"),
            constraint.text("whenUnsatisfiable"),
        );
        if key.is_empty() {
            errors.push(FieldError::required(
                &constraint.at("topologyKey"),
                "can not be empty",
            ));
        }
        constraint.one_of(
            "whenUnsatisfiable",
            &["DoNotSchedule", "ScheduleAnyway"],
            errors,
        );
        let same = |other: &Node<'_>| {
            other.text("topologyKey") == key && other.text("whenUnsatisfiable") == action
        };
        if constraints.iter().skip(index + 1).any(same) {
            let path = constraint.at("{topologyKey, whenUnsatisfiable}");
            errors.push(FieldError::duplicate(&path, format!("{{{key}, {action}}}")));
        }
        if let Some(domains) = constraint.int("minDomains") {
            positive(constraint, "minDomains", errors);
            if action != "DoNotSchedule" {
                let why = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                errors.push(FieldError::invalid(
                    &constraint.at("minDomains"),
                    domains,
                    why,
                ));
            }
        }
        for field in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            if constraint.has(field) {
                constraint.one_of(field, &["Honor", "Ignore"], errors);
            }
        }
        label_keys(constraint, errors);
        label_selector(&constraint.child("labelSelector"), errors);
    }
}

fn positive(holder: &Node<'_>, field: &str, errors: &mut Errors) {
    let value = holder.int(field).unwrap_or_default();
    if value <= 0 {
        errors.push(FieldError::invalid(
            &holder.at(field),
            value,
            "must be greater than zero",
        ));
    }
}

/// `tolerations`. Source: `ValidateTolerations`.
pub(crate) fn tolerations(spec: &Node<'_>, errors: &mut Errors) {
    for toleration in spec.items("tolerations") {
        let (key, operator, value) = (
            toleration.text("key"),
            toleration.text("operator"),
            toleration.text("value"),
        );
        if !key.is_empty() {
            toleration.complain("key", names::qualified_name(key), errors);
        }
        let mut wrong = |field: &str, value: &str, why: &str| {
            errors.push(FieldError::invalid(&toleration.at(field), value, why));
        };
        if key.is_empty() && operator != "Exists" {
            let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            wrong("operator", operator, why);
        }
        if toleration.has("tolerationSeconds") && toleration.text("effect") != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            wrong("effect", toleration.text("effect"), why);
        }
        match operator {
            "Equal" | "" => {
                let complaints = names::label_value(value);
                if !complaints.is_empty() {
                    wrong("operator", value, &complaints.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                wrong(
                    "operator",
                    value,
                    "value must be empty when `operator` is 'Exists'",
                );
            }
            "Exists" => {}
            other => {
                let path = toleration.at("operator");
                // Upstream lists those that it would know, to those that ask for them.
                let known: &[&str] = match other {
                    "Gt" | "Lt" => &["Equal", "Exists", "Lt", "Gt"],
                    _ => &["Equal", "Exists"],
                };
                errors.push(FieldError::not_supported(&path, other, known));
            }
        }
        if !toleration.text("effect").is_empty() {
            toleration.one_of(
                "effect",
                &["NoSchedule", "PreferNoSchedule", "NoExecute"],
                errors,
            );
        }
    }
}
