//! Admission policies and their bindings. Source: pkg/apis/admissionregistration/validation.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, names};

use super::condition::conditions;
use super::expression::{Expressions, Named, Wanted};
use super::webhook::rule_with_operations;
use crate::check::{Errors, Node, label_selector};

const ANNOTATIONS_MAX: usize = 20;
/// Source: `maxAuditAnnotationValueExpressionLength`.
const ANNOTATION_BYTES_MAX: usize = 5 * 1024;
const MUTATED: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];

/// Words that CEL keeps for itself.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A new ValidatingAdmissionPolicy.
pub(super) fn validating(object: &Object, errors: &mut Errors) {
    validating_policy(object, None, errors);
}

/// A changed ValidatingAdmissionPolicy.
pub(super) fn changed_validating(new: &Object, old: &Object, errors: &mut Errors) {
    validating_policy(new, Some(old), errors);
}

/// A new MutatingAdmissionPolicy.
pub(super) fn mutating(object: &Object, errors: &mut Errors) {
    mutating_policy(object, None, errors);
}

/// A changed MutatingAdmissionPolicy.
pub(super) fn changed_mutating(new: &Object, old: &Object, errors: &mut Errors) {
    mutating_policy(new, Some(old), errors);
}

fn validating_policy(object: &Object, old: Option<&Object>, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    both(&spec, old, false, errors);
    let mut expressions = Expressions::of(&spec, false);
    variables(&spec, &mut expressions, errors);
    let (validations, marks) = (spec.items("validations"), spec.items("auditAnnotations"));
    if validations.is_empty() && marks.is_empty() {
        let why = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required(&spec.at("validations"), why));
        errors.push(FieldError::required(&spec.at("auditAnnotations"), why));
        return;
    }
    let named = named(&spec);
    for validation in validations {
        self::validation(&validation, &expressions, named, errors);
    }
    if marks.len() > ANNOTATIONS_MAX {
        let list = spec.child("auditAnnotations");
        let why = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        errors.push(FieldError::invalid(&list.path, list.value.clone(), why));
    }
    let mut known = BTreeSet::new();
    for mark in marks {
        let key = mark.text("key");
        let full = format!("{}/{key}", object.name());
        let complaints = names::qualified_name(&full);
        errors.extend(crate::metadata::invalid(&mark.at("key"), &full, complaints));
        value(&mark, &expressions, named, errors);
        if !known.insert(key) {
            errors.push(FieldError::duplicate(&mark.at("key"), key));
        }
    }
}

fn mutating_policy(object: &Object, old: Option<&Object>, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    both(&spec, old, true, errors);
    let mut expressions = Expressions::of(&spec, true);
    variables(&spec, &mut expressions, errors);
    if !spec.has_items("mutations") {
        let why = "mutations must contain at least one item";
        errors.push(FieldError::required(&spec.at("mutations"), why));
    }
    for mutation in spec.items("mutations") {
        self::mutation(&mutation, &expressions, named(&spec), errors);
    }
    spec.needs_one_of("reinvocationPolicy", &["IfNeeded", "Never"], errors);
}

/// What the expressions of a policy may name.
fn named(spec: &Node<'_>) -> Named {
    Named {
        params: spec.has("paramKind"),
        authorizer: true,
        patches: false,
    }
}

/// A ValidatingAdmissionPolicyBinding.
pub(super) fn validating_binding(object: &Object, errors: &mut Errors) {
    const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
    let spec = Node::root(object).child("spec");
    binding(&spec, errors);
    let actions = spec.texts("validationActions");
    let list = spec.child("validationActions");
    let mut known = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        let path = list.path.index(index);
        if !ACTIONS.contains(action) {
            errors.push(FieldError::not_supported(&path, *action, &ACTIONS));
        }
        if !known.insert(action) {
            errors.push(FieldError::duplicate(&path, *action));
        }
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(FieldError::invalid(&list.path, list.value.clone(), why));
    }
    if actions.is_empty() {
        let why = "at least one validation action is required";
        errors.push(FieldError::required(&list.path, why));
    }
}

/// A MutatingAdmissionPolicyBinding.
pub(super) fn mutating_binding(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    binding(&spec, errors);
    operations(&spec.child("matchResources"), errors);
}

/// What both sorts of policies say.
fn both(spec: &Node<'_>, old: Option<&Object>, is_mutating: bool, errors: &mut Errors) {
    spec.points_to_one_of("failurePolicy", &["Fail", "Ignore"], errors);
    if let Some(kind) = spec.get("paramKind") {
        param_kind(&kind, errors);
    }
    let constraints = spec.child("matchConstraints");
    if spec.has("matchConstraints") {
        match_resources(&constraints, errors);
        if !constraints.has_items("resourceRules") {
            errors.push(FieldError::required(&constraints.at("resourceRules"), ""));
        }
        if is_mutating {
            operations(&constraints, errors);
        }
    } else {
        errors.push(FieldError::required(&constraints.path, ""));
    }
    // Conditions that are as they were stay, whatever expressions may say by now.
    let is_same = old.is_some_and(|old| {
        let old = Node::root(old).child("spec");
        ["paramKind", "matchConditions"].iter().all(|field| {
            let (new, old) = (spec.child(field), old.child(field));
            new.value == old.value
        })
    });
    if !is_same {
        conditions(spec, spec.has("paramKind"), errors);
    }
}

fn param_kind(kind: &Node<'_>, errors: &mut Errors) {
    let version = kind.text("apiVersion");
    let path = kind.at("apiVersion");
    match version.split('/').collect::<Vec<_>>().as_slice() {
        [""] => errors.push(FieldError::required(&path, "")),
        [name] => version_label(kind, version, name, errors),
        [group, name] => {
            let complaints = names::dns1123_subdomain(group);
            if !group.is_empty() && !complaints.is_empty() {
                errors.push(FieldError::invalid(&path, *group, complaints.join(",")));
            }
            version_label(kind, version, name, errors);
        }
        _ => {
            let why = format!("unexpected GroupVersion string: {version}");
            errors.push(FieldError::invalid(&path, version, why));
        }
    }
    let name = kind.text("kind");
    let complaints = names::dns1035_label(&name.to_lowercase());
    if name.is_empty() {
        kind.needs("kind", errors);
    } else if !complaints.is_empty() {
        let why = format!(
            "may have mixed case, but should otherwise match: {}",
            complaints.join(",")
        );
        errors.push(FieldError::invalid(&kind.at("kind"), name, why));
    }
}

fn version_label(kind: &Node<'_>, whole: &str, name: &str, errors: &mut Errors) {
    let path = kind.at("apiVersion");
    if name.is_empty() {
        errors.push(FieldError::invalid(
            &path,
            whole,
            "version must be specified",
        ));
        return;
    }
    let complaints = names::dns1035_label(name);
    if !complaints.is_empty() {
        errors.push(FieldError::invalid(&path, name, complaints.join(",")));
    }
}

/// Source: `validateMatchResources`.
fn match_resources(resources: &Node<'_>, errors: &mut Errors) {
    resources.points_to_one_of("matchPolicy", &["Equivalent", "Exact"], errors);
    for field in ["namespaceSelector", "objectSelector"] {
        match resources.get(field) {
            None => errors.push(FieldError::required(&resources.at(field), "")),
            Some(selector) => label_selector(&selector, errors),
        }
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for rule in resources.items(list) {
            let mut known = BTreeSet::new();
            for (index, name) in rule.texts("resourceNames").into_iter().enumerate() {
                let path = rule.at("resourceNames").index(index);
                let complaints = names::path_segment(name);
                errors.extend(crate::metadata::invalid(&path, name, complaints));
                if !known.insert(name) {
                    errors.push(FieldError::duplicate(&path, name));
                }
            }
            rule_with_operations(&rule, errors);
        }
    }
}

/// Nobody mutates what is deleted.
fn operations(resources: &Node<'_>, errors: &mut Errors) {
    let path = resources.at("resourceRules").child("operations");
    for rule in resources.items("resourceRules") {
        for operation in rule.texts("operations") {
            if !MUTATED.contains(&operation) {
                errors.push(FieldError::not_supported(&path, operation, &MUTATED));
            }
        }
    }
}

fn variables(spec: &Node<'_>, expressions: &mut Expressions, errors: &mut Errors) {
    for variable in spec.items("variables") {
        needs_text(&variable, "name", "name is not specified", errors);
        let name = variable.text("name");
        if !name.trim().is_empty() && !is_identifier(name) {
            let why = "must be a valid CEL identifier";
            errors.push(FieldError::invalid(&variable.at("name"), name, why));
        }
        let text = variable.text("expression");
        if text.trim().is_empty() {
            let why = "expression is not specified";
            errors.push(FieldError::required(&variable.at("expression"), why));
            continue;
        }
        let field = (&variable, "expression");
        let (named, wanted) = (named(spec), Wanted::Anything);
        let found = expressions.compile(field, (text, text), named, wanted, errors);
        expressions.declare(name, found.as_ref());
    }
}

fn is_identifier(name: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let starts = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    starts && name.bytes().all(is_word) && !RESERVED.contains(&name)
}

fn needs_text(holder: &Node<'_>, field: &str, why: &str, errors: &mut Errors) {
    if holder.text(field).trim().is_empty() {
        errors.push(FieldError::required(&holder.at(field), why));
    }
}

/// The value of an audit annotation. Source: `validateAuditAnnotation`.
fn value(mark: &Node<'_>, expressions: &Expressions, named: Named, errors: &mut Errors) {
    let whole = mark.text("valueExpression");
    let text = whole.trim();
    let path = mark.at("valueExpression");
    if text.is_empty() {
        let why = "valueExpression is not specified";
        errors.push(FieldError::required(&path, why));
    } else if text.len() > ANNOTATION_BYTES_MAX {
        let why = format!("must not exceed {ANNOTATION_BYTES_MAX} bytes in length");
        errors.push(FieldError::required(&path, why));
    } else {
        let field = (mark, "valueExpression");
        expressions.compile(field, (text, whole), named, Wanted::TextOrNull, errors);
    }
}

fn validation(validation: &Node<'_>, expressions: &Expressions, named: Named, errors: &mut Errors) {
    const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
    let text = validation.text("expression");
    if text.trim().is_empty() {
        let why = "expression is not specified";
        errors.push(FieldError::required(&validation.at("expression"), why));
    } else {
        let field = (validation, "expression");
        expressions.compile(field, (text, text), named, Wanted::Bool, errors);
    }
    for field in ["messageExpression", "message"] {
        let text = validation.text(field);
        if !text.is_empty() && text.trim().is_empty() {
            let why = "must be non-empty if specified";
            errors.push(FieldError::invalid(&validation.at(field), text, why));
        } else if field == "messageExpression" && !text.is_empty() {
            // A message is made after the decision, without asking the authorizer again.
            let named = Named {
                authorizer: false,
                ..named
            };
            let field = (validation, field);
            expressions.compile(field, (text, text), named, Wanted::Text, errors);
        } else if field == "message" && text.trim().contains(['\n', '\r']) {
            let why = "must not contain line breaks";
            errors.push(FieldError::invalid(&validation.at(field), text, why));
        }
    }
    if validation.has("reason") {
        validation.one_of("reason", &REASONS, errors);
    }
}

fn mutation(mutation: &Node<'_>, expressions: &Expressions, named: Named, errors: &mut Errors) {
    let (held, other) = match mutation.text("patchType") {
        "" => return mutation.needs("patchType", errors),
        "JSONPatch" => ("jsonPatch", "applyConfiguration"),
        "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
        _ => {
            let valid = ["ApplyConfiguration", "JSONPatch"];
            return mutation.one_of("patchType", &valid, errors);
        }
    };
    let kind = mutation.text("patchType");
    match mutation.get(held) {
        None => {
            let why = format!("must be specified when patchType is {kind}");
            errors.push(FieldError::required(&mutation.at(held), why));
        }
        Some(patch) => self::patch(&patch, kind, expressions, named, errors),
    }
    if mutation.has(other) {
        let why = format!("must not be specified when patchType is {kind}");
        let shown = format!("{{{other}}}");
        errors.push(FieldError::invalid(&mutation.at(other), shown, why));
    }
}

fn patch(
    patch: &Node<'_>,
    kind: &str,
    expressions: &Expressions,
    named: Named,
    errors: &mut Errors,
) {
    let text = patch.text("expression").trim();
    if text.is_empty() {
        errors.push(FieldError::required(&patch.at("expression"), ""));
        return;
    }
    let wanted = if kind == "JSONPatch" {
        Wanted::Patch
    } else {
        Wanted::Object
    };
    let named = Named {
        patches: true,
        ..named
    };
    expressions.compile((patch, "expression"), (text, text), named, wanted, errors);
}

/// What both sorts of bindings say.
fn binding(spec: &Node<'_>, errors: &mut Errors) {
    let policy = spec.text("policyName");
    if policy.is_empty() {
        spec.needs("policyName", errors);
    } else {
        spec.complain("policyName", names::dns1123_subdomain(policy), errors);
    }
    if let Some(reference) = spec.get("paramRef") {
        param_ref(&reference, errors);
    }
    if let Some(resources) = spec.get("matchResources") {
        match_resources(&resources, errors);
    }
}

fn param_ref(reference: &Node<'_>, errors: &mut Errors) {
    let why = "name and selector are mutually exclusive";
    let name = reference.text("name");
    if !name.is_empty() {
        reference.complain("name", names::path_segment(name), errors);
        if reference.has("selector") {
            errors.push(FieldError::forbidden(&reference.at("name"), why));
        }
    }
    if let Some(selector) = reference.get("selector") {
        label_selector(&selector, errors);
        if !name.is_empty() {
            errors.push(FieldError::forbidden(&selector.path, why));
        }
    } else if name.is_empty() {
        let why = "one of name or selector must be specified";
        errors.push(FieldError::required(&reference.path, why));
    }
    reference.needs_one_of("parameterNotFoundAction", &["Deny", "Allow"], errors);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(check: fn(&Object, &mut Errors), spec: &Value) -> Vec<String> {
        let mut errors = Errors::new();
        check(
            &json!({"metadata": {"name": "p"}, "spec": spec}),
            &mut errors,
        );
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_policy_needs_something_to_match_and_to_check() {
        assert_eq!(
            said(validating, &json!({"failurePolicy": "Fail"})),
            [
                "spec.matchConstraints: Required value",
                "spec.validations: Required value: validations or auditAnnotations must contain at least one item",
                "spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item",
            ]
        );
    }

    #[test]
    fn a_policy_of_every_part_is_taken() {
        let rule = json!({"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]});
        let spec = json!({
            "failurePolicy": "Fail",
            "paramKind": {"apiVersion": "example.com/v1", "kind": "Limit"},
            "matchConstraints": {"matchPolicy": "Exact", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [rule]},
            "matchConditions": [{"name": "people", "expression": "!('system:nodes' in request.userInfo.groups)"}],
            "variables": [
                {"name": "most", "expression": "has(params.replicas) ? params.replicas : 3"},
                {"name": "images", "expression": "object.spec.template.spec.containers.map(c, c.image)"},
                {"name": "tags", "expression": "variables.images.map(i, i.split(':')).filter(p, p.size() == 2).map(p, p[1])"},
            ],
            "validations": [
                {
                    "expression": "object.spec.replicas <= variables.most || authorizer.requestResource.check('exceed').allowed()",
                    "messageExpression": "'at most %d replicas in %s'.format([variables.most, namespaceObject.metadata.name])",
                },
                {"expression": "!variables.tags.exists(t, t == 'latest') && variables.tags.all(t, t.matches('^v?[0-9.]+$'))"},
                {"expression": "oldObject == null || oldObject.spec.?selector.orValue({}) == object.spec.selector"},
            ],
            "auditAnnotations": [{"key": "images", "valueExpression": "'images: ' + string(variables.images.size())"}],
        });
        assert_eq!(said(validating, &spec), Vec::<String>::new());
    }

    #[test]
    fn conditions_that_are_as_they_were_are_not_read_again() {
        let policy = |condition: &str, expression: &str| {
            json!({"metadata": {"name": "p"}, "spec": {"failurePolicy": "Fail",
                "matchConstraints": {"matchPolicy": "Exact", "namespaceSelector": {}, "objectSelector": {},
                    "resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
                "matchConditions": [{"name": "c", "expression": condition}],
                "validations": [{"expression": expression}]}})
        };
        let count = |new: &Value, old: &Value| {
            let mut errors = Errors::new();
            changed_validating(new, old, &mut errors);
            errors.len()
        };
        assert_eq!(count(&policy("no(", "true"), &policy("no(", "false")), 0);
        assert_eq!(count(&policy("no(", "true"), &policy("true", "true")), 1);
        assert_eq!(count(&policy("no(", "no("), &policy("no(", "no(")), 1);
    }

    #[test]
    fn a_mutation_is_of_one_sort() {
        let said = said(
            mutating,
            &json!({"failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": {"matchPolicy": "Exact", "namespaceSelector": {}, "objectSelector": {},
                "resourceRules": [{"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
            "mutations": [{"patchType": "JSONPatch", "applyConfiguration": {"expression": "x"}}]}),
        );
        assert_eq!(said.len(), 3, "{said:?}");
    }

    #[test]
    fn a_binding_names_its_parameters_in_one_way() {
        let reference = json!({"name": "x", "selector": {}, "parameterNotFoundAction": "Deny"});
        let spec = json!({"policyName": "p", "paramRef": reference, "validationActions": ["Deny", "Warn"]});
        assert_eq!(said(validating_binding, &spec).len(), 3);
    }
}
