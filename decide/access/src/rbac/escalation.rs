//! Nobody hands out rights that they do not hold, through roles or through bindings.
//!
//! Source: `pkg/registry/rbac`: `escalation_check.go`, `policybased/storage.go`, `validation/rule.go`.

use std::collections::{BTreeMap, BTreeSet};

use kinds::strategy::Operation;
use meta::{Object, ObjectExt, StatusError};

use super::{Policy, Rule, compact, everything_else, everything_in_api, rules_of, uncovered};
use crate::admission::Request;
use crate::attributes::{Attributes, Decision};
use crate::user;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a role or binding that gives more than its writer holds.
///
/// # Errors
/// 403, naming the rules that are not held; 404 when the bound role is missing.
pub(crate) fn check(request: &Request<'_>) -> Result<(), StatusError> {
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    if request.resource.group != GROUP || !request.subresource.is_empty() || !writes {
        return Ok(());
    }
    let Some(new) = &request.object else {
        return Ok(());
    };
    let groups = &request.user.groups;
    if groups.iter().any(|group| group == user::MASTERS) || is_for_collector(new, request) {
        return Ok(());
    }
    match request.resource.resource.as_str() {
        "roles" | "clusterroles" => check_role(request, new),
        "rolebindings" | "clusterrolebindings" => check_binding(request, new),
        _ => Ok(()),
    }
}

fn check_role(request: &Request<'_>, role: &Object) -> Result<(), StatusError> {
    let name = match request.operation {
        Operation::Create => "",
        _ => request.name.as_str(),
    };
    if may(request, "escalate", &request.resource.resource, name) {
        return Ok(());
    }
    confirm(request, role, &rules_of(role))?;
    let aggregates = |role: &Object| {
        let selectors = role.list_at(&["aggregationRule", "clusterRoleSelectors"]);
        !selectors.is_empty()
    };
    let everything = [everything_in_api(), everything_else()];
    let is_aggregate = aggregates(role) || request.old.is_some_and(aggregates);
    if is_aggregate && confirm(request, role, &everything).is_err() {
        let why = "must have cluster-admin privileges to use the aggregationRule";
        return Err(StatusError::forbidden(&request.resource, role.name(), why));
    }
    Ok(())
}

fn check_binding(request: &Request<'_>, binding: &Object) -> Result<(), StatusError> {
    let (kind, name) = (
        binding.str_at(&["roleRef", "kind"]).unwrap_or_default(),
        binding.str_at(&["roleRef", "name"]).unwrap_or_default(),
    );
    let plural = match kind {
        "ClusterRole" => "clusterroles",
        "Role" => "roles",
        // Validation refuses it.
        _ => return Ok(()),
    };
    if may(request, "bind", plural, name) {
        return Ok(());
    }
    // Upstream's answer names the binding's resource.
    let missing = || StatusError::not_found(&request.resource, name);
    let rules = request.policy.role(kind, &request.namespace, name);
    confirm(request, binding, rules.ok_or_else(missing)?)
}

/// Whether the writer holds a special verb on a role.
fn may(request: &Request<'_>, verb: &str, plural: &str, name: &str) -> bool {
    let asked = Attributes {
        user: request.user.clone(),
        verb: verb.into(),
        namespace: request.namespace.clone(),
        group: GROUP.into(),
        version: "*".into(),
        resource: plural.into(),
        name: name.into(),
        is_resource: true,
        ..Attributes::default()
    };
    request.policy.authorize(&asked) == Decision::Allow
}

/// Source: `ConfirmNoEscalation`.
fn confirm(request: &Request<'_>, object: &Object, wanted: &[Rule]) -> Result<(), StatusError> {
    let policy: &Policy = &request.policy;
    let held = policy.rules_for(request.user, &request.namespace);
    let missing = uncovered(&held, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let lines: BTreeSet<String> = join_verbs(missing).iter().map(compact).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    let groups = request.user.groups.iter();
    let groups: Vec<String> = groups.map(|group| meta::field::quote(group)).collect();
    let why = format!(
        "user {} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        meta::field::quote(&request.user.name),
        groups.join(" "),
        lines.join("\n")
    );
    Err(StatusError::forbidden(
        &request.resource,
        object.name(),
        &why,
    ))
}

/// Brings together rules that differ only by verb. Source: `CompactRules`.
fn join_verbs(rules: Vec<Rule>) -> Vec<Rule> {
    let mut joined = Vec::new();
    let mut simple = BTreeMap::<_, Vec<String>>::new();
    for rule in rules {
        if !rule.non_resource_urls.is_empty() {
            joined.push(rule);
            continue;
        }
        let key = (rule.api_groups, rule.resources, rule.resource_names);
        simple.entry(key).or_default().extend(rule.verbs);
    }
    let simple = simple.into_iter();
    joined.extend(
        simple.map(|((api_groups, resources, resource_names), verbs)| Rule {
            verbs,
            api_groups,
            resources,
            resource_names,
            ..Rule::default()
        }),
    );
    joined
}

/// Whether an update touches only what the garbage collector writes. Source: `IsOnlyMutatingGCFields`.
fn is_for_collector(new: &Object, request: &Request<'_>) -> bool {
    let Some(old) = &request.old else {
        return false;
    };
    let bare = |object: &Object| {
        let mut object = object.clone();
        for field in [
            "ownerReferences",
            "finalizers",
            "managedFields",
            "resourceVersion",
        ] {
            object.remove(&["metadata", field]);
        }
        object
    };
    bare(new) == bare(old)
}

#[cfg(test)]
mod tests;
