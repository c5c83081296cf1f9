//! What is wrong with roles and bindings. Source: pkg/apis/rbac/validation.

use meta::{FieldError, Object, names};
use serde_json::Value;

use crate::check::{Errors, Node, label_selector};

const GROUP: &str = "rbac.authorization.k8s.io";

/// The rules of a role.
pub(super) fn role(object: &Object, is_namespaced: bool) -> Errors {
    let mut errors = Errors::new();
    let root = Node::root(object);
    for rule in root.items("rules") {
        policy_rule(&rule, is_namespaced, &mut errors);
    }
    if let Some(aggregation) = root.get("aggregationRule") {
        if !aggregation.has_items("clusterRoleSelectors") {
            let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.push(FieldError::required(
                &aggregation.at("clusterRoleSelectors"),
                why,
            ));
        }
        for selector in aggregation.items("clusterRoleSelectors") {
            let before = errors.len();
            label_selector(&selector, &mut errors);
            if errors.len() > before {
                // Source: `metav1.LabelSelectorAsSelector` fails, and leaves nothing to show.
                let why = "invalid label selector.";
                errors.push(FieldError::invalid(&selector.path, Value::Null, why));
            }
        }
    }
    errors
}

fn policy_rule(rule: &Node<'_>, is_namespaced: bool, errors: &mut Errors) {
    if !rule.has_items("verbs") {
        let why = "verbs must contain at least one value";
        errors.push(FieldError::required(&rule.at("verbs"), why));
    }
    if rule.has_items("nonResourceURLs") {
        let urls = rule.child("nonResourceURLs");
        if is_namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&urls.path, urls.value.clone(), why));
        }
        if ["apiGroups", "resources", "resourceNames"]
            .iter()
            .any(|field| rule.has_items(field))
        {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&urls.path, urls.value.clone(), why));
        }
        return;
    }
    for (field, why) in [
        (
            "apiGroups",
            "resource rules must supply at least one api group",
        ),
        (
            "resources",
            "resource rules must supply at least one resource",
        ),
    ] {
        if !rule.has_items(field) {
            errors.push(FieldError::required(&rule.at(field), why));
        }
    }
}

/// A binding; `kinds` are those of roles it may refer to.
pub(super) fn binding(object: &Object, kinds: &[&str]) -> Errors {
    let mut errors = Errors::new();
    let root = Node::root(object);
    let role = root.child("roleRef");
    role.one_of("apiGroup", &[GROUP], &mut errors);
    role.one_of("kind", kinds, &mut errors);
    let name = role.text("name");
    if name.is_empty() {
        role.needs("name", &mut errors);
    } else {
        role.complain("name", names::path_segment(name), &mut errors);
    }
    let is_namespaced = kinds.contains(&"Role");
    for subject in root.items("subjects") {
        self::subject(&subject, is_namespaced, &mut errors);
    }
    errors
}

fn subject(subject: &Node<'_>, is_namespaced: bool, errors: &mut Errors) {
    let name = subject.text("name");
    subject.needs("name", errors);
    match subject.text("kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                subject.complain("name", names::dns1123_subdomain(name), errors);
            }
            if !subject.text("apiGroup").is_empty() {
                subject.one_of("apiGroup", &[""], errors);
            }
            if !is_namespaced {
                subject.needs("namespace", errors);
            }
        }
        "User" | "Group" => subject.one_of("apiGroup", &[GROUP], errors),
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(FieldError::not_supported(
                &subject.at("kind"),
                other,
                &kinds,
            ));
        }
    }
}

/// The role of a binding stays.
pub(super) fn same_role(new: &Object, old: &Object, errors: &mut Errors) {
    let (new, old) = (
        Node::root(new).child("roleRef"),
        Node::root(old).child("roleRef"),
    );
    if new.value != old.value {
        errors.push(FieldError::invalid(
            &new.path,
            new.value.clone(),
            "cannot change roleRef",
        ));
    }
}
