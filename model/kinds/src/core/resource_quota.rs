//! ResourceQuota.

use std::collections::BTreeSet;

use meta::{FieldError, Object, names};

use super::pod_spec::validate::{amount, resource_name};
use crate::check::{Errors, Node};
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
const ONLY_NAMES: [&str; 11] = [
    "resourcequotas",
    "services",
    "services.nodeports",
    "services.loadbalancers",
    "replicationcontrollers",
    "configmaps",
    "secrets",
    "persistentvolumeclaims",
    "requests.storage",
    "storage",
    "limits.storage",
];

/// Rules of `v1 ResourceQuota`.
pub(crate) struct ResourceQuota;

impl Strategy for ResourceQuota {
    fn has_generation(&self) -> bool {
        false
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let root = Node::root(new);
        hard(&root.child("spec"), "hard", &mut errors);
        scopes(&root.child("spec"), &mut errors);
        scope_selector(&root.child("spec"), &mut errors);
        for field in ["hard", "used"] {
            hard(&root.child("status"), field, &mut errors);
        }
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = self.validate(new, cx);
        let (new, old) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
        let set = |node: &Node<'_>| {
            node.texts("scopes")
                .into_iter()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        if set(&new) != set(&old) {
            new.immutable(&old, "scopes", &mut errors);
        }
        errors
    }
    print_with!(print::core::RESOURCE_QUOTA);
}

fn hard(spec: &Node<'_>, field: &str, errors: &mut Errors) {
    for (name, value) in spec.entries(field) {
        quota_name(name, &value, errors);
        amount(name, &value, errors);
    }
}

/// Source: `ValidateResourceQuotaResourceName`.
fn quota_name(name: &str, value: &Node<'_>, errors: &mut Errors) {
    if !resource_name(name, &value.path, errors) || name.contains('/') {
        return;
    }
    let is_quota = name.starts_with("count/")
        || name.starts_with("requests.hugepages-")
        || name.starts_with("hugepages-");
    if !is_quota && name == "limits.storage" {
        let why = "must be a standard resource for quota";
        errors.push(FieldError::invalid(&value.path, name, why));
    }
}

fn scopes(spec: &Node<'_>, errors: &mut Errors) {
    let scopes = spec.texts("scopes");
    let path = spec.at("scopes");
    let shown = || spec.child("scopes").value.clone();
    let hard: Vec<&str> = spec
        .entries("hard")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for scope in &scopes {
        if !SCOPES.contains(scope) {
            errors.push(FieldError::invalid(&path, shown(), "unsupported scope"));
        }
        for name in hard.iter().filter(|name| ONLY_NAMES.contains(name)) {
            if SCOPES.contains(scope) && *scope != "VolumeAttributesClass" {
                let why = format!("unsupported scope applied to resource {name}");
                errors.push(FieldError::invalid(&path, shown(), why));
            }
        }
    }
    for (one, other) in [
        ("BestEffort", "NotBestEffort"),
        ("Terminating", "NotTerminating"),
    ] {
        if scopes.contains(&one) && scopes.contains(&other) {
            errors.push(FieldError::invalid(&path, shown(), "conflicting scopes"));
        }
    }
}

fn scope_selector(spec: &Node<'_>, errors: &mut Errors) {
    let selector = spec.child("scopeSelector");
    for expression in selector.items("matchExpressions") {
        let scope = expression.text("scopeName");
        let path = selector.at("matchExpressions").child("scopeName");
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(&path, scope, "unsupported scope"));
        }
        let values = expression.texts("values");
        let at = selector.at("matchExpressions");
        match expression.text("operator") {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.push(FieldError::required(&at.child("values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                errors.push(FieldError::invalid(
                    &at.child("values"),
                    expression.child("values").value.clone(),
                    why,
                ));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.push(FieldError::invalid(
                &at.child("operator"),
                other,
                "not a valid selector operator",
            )),
        }
        for value in values {
            errors.extend(crate::metadata::invalid(
                &at.child("values"),
                value,
                names::qualified_name(value),
            ));
        }
    }
}
