//! ResourceQuota.

use std::collections::BTreeSet;

use meta::{FieldError, Object};

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
const CONFLICTING: [(&str, &str); 2] = [
    ("BestEffort", "NotBestEffort"),
    ("Terminating", "NotTerminating"),
];
/// Source: `helper.IsStandardQuotaResourceName`.
const QUOTA_NAMES: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];
const POD_NAMES: [&str; 7] = [
    "pods",
    "cpu",
    "memory",
    "limits.cpu",
    "limits.memory",
    "requests.cpu",
    "requests.memory",
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

fn is_quota_name(name: &str) -> bool {
    QUOTA_NAMES.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
}

/// Source: `ValidateResourceQuotaResourceName`.
fn quota_name(name: &str, value: &Node<'_>, errors: &mut Errors) {
    resource_name(name, &value.path, errors);
    if !name.contains('/') && !is_quota_name(name) {
        let why = "must be a standard resource for quota";
        errors.push(FieldError::invalid(&value.path, name, why));
    }
}

/// Source: `IsResourceQuotaScopeValidForResource`.
fn is_covered(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => POD_NAMES.contains(&name),
        _ => true,
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
        for name in hard.iter().filter(|name| is_quota_name(name)) {
            if !is_covered(scope, name) {
                let why = "unsupported scope applied to resource";
                errors.push(FieldError::invalid(&path, shown(), why));
            }
        }
    }
    for (one, other) in CONFLICTING {
        if scopes.contains(&one) && scopes.contains(&other) {
            errors.push(FieldError::invalid(&path, shown(), "conflicting scopes"));
        }
    }
}

fn scope_selector(spec: &Node<'_>, errors: &mut Errors) {
    const ONLY_EXISTS: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
    let selector = spec.child("scopeSelector");
    let at = selector.at("matchExpressions");
    let mut known = BTreeSet::new();
    for expression in selector.items("matchExpressions") {
        let scope = expression.text("scopeName");
        let operator = expression.text("operator");
        known.insert(scope);
        if !SCOPES.contains(&scope) {
            let path = at.child("scopeName");
            errors.push(FieldError::invalid(&path, scope, "unsupported scope"));
        }
        for (name, _) in spec.entries("hard") {
            if is_quota_name(name) && !is_covered(scope, name) {
                let mut error =
                    FieldError::invalid(&at, "", "unsupported scope applied to resource");
                let shown = selector_shown(&selector);
                error.bad_value = Some(selector.value.clone());
                error.shown = Some(shown);
                errors.push(error);
            }
        }
        let is_free = matches!(scope, "PriorityClass" | "VolumeAttributesClass");
        if SCOPES.contains(&scope) && !is_free && operator != "Exists" {
            errors.push(FieldError::invalid(
                &at.child("operator"),
                operator,
                ONLY_EXISTS,
            ));
        }
        let values = expression.texts("values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
                errors.push(FieldError::required(&at.child("values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
                let value = expression.child("values").value.clone();
                errors.push(FieldError::invalid(&at.child("values"), value, why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(&at.child("operator"), other, why));
            }
        }
    }
    for (one, other) in CONFLICTING {
        if known.contains(one) && known.contains(other) {
            let value = spec.child("scopes").value.clone();
            errors.push(FieldError::invalid(&at, value, "conflicting scopes"));
        }
    }
}

/// The selector as its internal type, which stands at a path of another type.
fn selector_shown(selector: &Node<'_>) -> String {
    crate::schema::builtin("io.k8s.api.core.v1.ScopeSelector")
        .and_then(|schema| {
            crate::schema::internal::print(&schema.graph, &schema.ty, selector.value)
        })
        .unwrap_or_default()
}
