//! RBAC: which rules a user holds, whether one of them covers a request, and who may hand out which rules.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac/validation`.

pub(crate) mod escalation;

use std::borrow::Borrow;
use std::collections::BTreeMap;

use kinds::strategy::User;
use meta::field::quote;
use meta::{Object, ObjectExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::attributes::{Attributes, Decision};
use crate::user;

const ALL: &str = "*";

/// `rbac/v1 PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Verbs, or `*`.
    pub verbs: Vec<String>,
    /// API groups, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// Resources with their subresource, `*`, or `*/subresource`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Object names; none means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths, which may end in `*`.
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
}

/// Someone to whom a binding gives a role.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    User(String),
    Group(String),
    ServiceAccount { namespace: String, name: String },
}

#[derive(Clone, Debug)]
struct Binding {
    /// Name for reasons: `ClusterRoleBinding "x"` or `RoleBinding "x/ns"`.
    label: String,
    subjects: Vec<Subject>,
    role: RoleRef,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RoleRef {
    Cluster(String),
    Namespaced { namespace: String, name: String },
}

/// All roles and bindings, read once and kept until one of them changes.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    roles: BTreeMap<RoleRef, Vec<Rule>>,
    cluster_bindings: Vec<Binding>,
    bindings: BTreeMap<String, Vec<Binding>>,
}

/// The stored objects a [`Policy`] is read from.
#[derive(Clone, Copy, Debug)]
#[expect(
    missing_docs,
    reason = "the fields are the four resources of the API group"
)]
pub struct Objects<'a, O> {
    pub cluster_roles: &'a [O],
    pub cluster_role_bindings: &'a [O],
    pub roles: &'a [O],
    pub role_bindings: &'a [O],
}

impl Policy {
    /// Reads roles and bindings. What cannot be read grants nothing.
    pub fn read<O: Borrow<Object>>(objects: &Objects<'_, O>) -> Self {
        let mut policy = Self::default();
        for role in objects.cluster_roles {
            let role: &Object = role.borrow();
            policy
                .roles
                .insert(RoleRef::Cluster(role.name().to_owned()), rules_of(role));
        }
        for role in objects.roles {
            let role: &Object = role.borrow();
            let reference = RoleRef::Namespaced {
                namespace: role.namespace().to_owned(),
                name: role.name().to_owned(),
            };
            policy.roles.insert(reference, rules_of(role));
        }
        policy.cluster_bindings = objects
            .cluster_role_bindings
            .iter()
            .filter_map(|binding| read_binding(binding.borrow()))
            .collect();
        for object in objects.role_bindings {
            let object: &Object = object.borrow();
            if let Some(binding) = read_binding(object) {
                policy
                    .bindings
                    .entry(object.namespace().to_owned())
                    .or_default()
                    .push(binding);
            }
        }
        policy
    }

    /// Whether the request may pass.
    pub fn authorize(&self, request: &Attributes) -> Decision {
        if request
            .user
            .groups
            .iter()
            .any(|group| group == user::MASTERS)
        {
            return Decision::Allow;
        }
        let mut missing = Vec::new();
        for (binding, rules) in self.bindings_of(&request.user, &request.namespace) {
            match rules {
                Some(rules) if rules.iter().any(|rule| rule.allows(request)) => {
                    return Decision::Allow;
                }
                Some(_) => {}
                None => missing.push(binding.missing_role()),
            }
        }
        let reason = match missing.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            many => format!("RBAC: [{}]", many.join(", ")),
        };
        Decision::NoOpinion { reason }
    }

    /// What lets a request pass, for who asks about it; `None` when nothing does, or no binding is needed.
    ///
    /// Source: `plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac/validation` for the words.
    pub fn allowed_by(&self, request: &Attributes) -> Option<String> {
        let is_master = request
            .user
            .groups
            .iter()
            .any(|group| group == user::MASTERS);
        let mut held = self.bindings_of(&request.user, &request.namespace);
        let (binding, _) = held.find(|(_, rules)| {
            let mut rules = rules.iter().flat_map(|rules| rules.iter());
            !is_master && rules.any(|rule| rule.allows(request))
        })?;
        let mut subjects = binding.subjects.iter();
        let subject = subjects.find(|subject| subject.is(&request.user))?;
        let (kind, role) = match &binding.role {
            RoleRef::Cluster(name) => ("ClusterRole", name),
            RoleRef::Namespaced { name, .. } => ("Role", name),
        };
        let (label, role) = (&binding.label, quote(role));
        Some(format!(
            "RBAC: allowed by {label} of {kind} {role} to {}",
            subject.shown()
        ))
    }

    /// The rules a user holds in a namespace (empty: in the cluster), in binding order.
    pub fn rules_for(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let held = self.bindings_of(user, namespace);
        let mut rules: Vec<Rule> = held
            .filter_map(|(_, rules)| rules)
            .flatten()
            .cloned()
            .collect();
        let is_master = user.groups.iter().any(|group| group == user::MASTERS);
        if is_master && !rules.contains(&everything_in_api()) {
            rules.extend([everything_in_api(), everything_else()]);
        }
        rules
    }

    /// The rules of a role; `None` when there is no such role.
    pub fn role(&self, kind: &str, namespace: &str, name: &str) -> Option<&[Rule]> {
        let reference = role_ref(kind, namespace, name)?;
        self.roles.get(&reference).map(Vec::as_slice)
    }

    fn bindings_of<'a>(
        &'a self,
        user: &'a User,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Binding, Option<&'a Vec<Rule>>)> {
        let of_namespace = self.bindings.get(namespace).into_iter().flatten();
        let all = self.cluster_bindings.iter().chain(of_namespace);
        let held =
            all.filter(move |binding| binding.subjects.iter().any(|subject| subject.is(user)));
        held.map(|binding| (binding, self.roles.get(&binding.role)))
    }
}

impl Binding {
    fn missing_role(&self) -> String {
        let RoleRef::Cluster(name) = &self.role else {
            let RoleRef::Namespaced { name, .. } = &self.role else {
                return self.label.clone();
            };
            return format!(
                "role.rbac.authorization.k8s.io {} not found",
                meta::field::quote(name)
            );
        };
        format!(
            "clusterrole.rbac.authorization.k8s.io {} not found",
            meta::field::quote(name)
        )
    }
}

impl Subject {
    fn shown(&self) -> String {
        match self {
            Self::User(name) => format!("User {}", quote(name)),
            Self::Group(name) => format!("Group {}", quote(name)),
            Self::ServiceAccount { namespace, name } => {
                format!("ServiceAccount {}", quote(&format!("{name}/{namespace}")))
            }
        }
    }
    fn is(&self, user: &User) -> bool {
        match self {
            Self::User(name) => *name == user.name,
            Self::Group(name) => user.groups.contains(name),
            Self::ServiceAccount { namespace, name } => {
                user::service_account_of(&user.name) == Some((namespace.as_str(), name.as_str()))
            }
        }
    }
}

impl Rule {
    /// Whether this rule lets the request pass.
    pub fn allows(&self, request: &Attributes) -> bool {
        if !has(&self.verbs, &request.verb) {
            return false;
        }
        if request.is_resource {
            has(&self.api_groups, &request.group)
                && self.has_resource(&request.combined_resource(), &request.subresource)
                && (self.resource_names.is_empty() || self.resource_names.contains(&request.name))
        } else {
            self.non_resource_urls
                .iter()
                .any(|url| url_matches(url, &request.path))
        }
    }

    fn has_resource(&self, combined: &str, subresource: &str) -> bool {
        self.resources.iter().any(|known| {
            known == ALL
                || known == combined
                || (!subresource.is_empty()
                    && known
                        .strip_prefix("*/")
                        .is_some_and(|wanted| wanted == subresource))
        })
    }
}

/// The smallest rules that `wanted` splits into and `held` does not cover. Source: `validation.Covers`.
pub fn uncovered(held: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let pieces = wanted.iter().flat_map(break_down);
    let mut missing: Vec<Rule> = Vec::new();
    for piece in pieces {
        if !held.iter().any(|rule| rule.covers(&piece)) && !missing.contains(&piece) {
            missing.push(piece);
        }
    }
    missing
}

/// Upstream's compact spelling of a rule, as escalation errors print it.
pub fn compact(rule: &Rule) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, values: &[String]| {
        if !values.is_empty() {
            let quoted: Vec<String> = values
                .iter()
                .map(|value| meta::field::quote(value))
                .collect();
            parts.push(format!("{name}:[{}]", quoted.join(" ")));
        }
    };
    part("APIGroups", &rule.api_groups);
    part("Resources", &rule.resources);
    part("NonResourceURLs", &rule.non_resource_urls);
    part("ResourceNames", &rule.resource_names);
    part("Verbs", &rule.verbs);
    format!("{{{}}}", parts.join(", "))
}

impl Rule {
    /// Whether whoever holds this rule may do all that `piece` (one verb, one resource) allows.
    fn covers(&self, piece: &Self) -> bool {
        let all_in = |held: &[String], wanted: &[String]| {
            held.iter().any(|value| value == ALL) || wanted.iter().all(|value| held.contains(value))
        };
        let resources = all_in(&self.resources, &piece.resources)
            || piece.resources.iter().all(|resource| {
                let subresource = resource
                    .split_once('/')
                    .map_or("", |(_, subresource)| subresource);
                self.has_resource(resource, subresource)
            });
        let names = self.resource_names.is_empty()
            || (!piece.resource_names.is_empty()
                && piece
                    .resource_names
                    .iter()
                    .all(|name| self.resource_names.contains(name)));
        let urls = piece.non_resource_urls.iter().all(|url| {
            self.non_resource_urls
                .iter()
                .any(|held| held == url || url_matches(held, url))
        });
        all_in(&self.verbs, &piece.verbs)
            && all_in(&self.api_groups, &piece.api_groups)
            && resources
            && names
            && urls
    }
}

fn break_down(rule: &Rule) -> Vec<Rule> {
    let mut pieces = Vec::new();
    let names: Vec<Vec<String>> = if rule.resource_names.is_empty() {
        vec![Vec::new()]
    } else {
        rule.resource_names
            .iter()
            .map(|name| vec![name.clone()])
            .collect()
    };
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                pieces.extend(names.iter().map(|names| Rule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    resource_names: names.clone(),
                    non_resource_urls: Vec::new(),
                }));
            }
        }
    }
    for url in &rule.non_resource_urls {
        pieces.extend(rule.verbs.iter().map(|verb| Rule {
            verbs: vec![verb.clone()],
            non_resource_urls: vec![url.clone()],
            ..Rule::default()
        }));
    }
    pieces
}

fn everything_in_api() -> Rule {
    let all = || vec![ALL.to_owned()];
    Rule {
        verbs: all(),
        api_groups: all(),
        resources: all(),
        ..Rule::default()
    }
}

fn everything_else() -> Rule {
    let all = || vec![ALL.to_owned()];
    Rule {
        verbs: all(),
        non_resource_urls: all(),
        ..Rule::default()
    }
}

fn has(values: &[String], wanted: &str) -> bool {
    values.iter().any(|value| value == ALL || value == wanted)
}

fn url_matches(rule: &str, path: &str) -> bool {
    match rule.strip_suffix(ALL) {
        Some(prefix) => path.starts_with(prefix),
        None => rule == path,
    }
}

/// The rules of a stored role; what cannot be read grants nothing.
pub fn rules_of(role: &Object) -> Vec<Rule> {
    let rules = role.list_at(&["rules"]).iter();
    rules
        .filter_map(|rule| serde_json::from_value(rule.clone()).ok())
        .collect()
}

fn read_binding(object: &Object) -> Option<Binding> {
    let namespace = object.namespace();
    let role = role_ref(
        object.str_at(&["roleRef", "kind"])?,
        namespace,
        object.str_at(&["roleRef", "name"])?,
    )?;
    let subjects = object
        .list_at(&["subjects"])
        .iter()
        .filter_map(|subject| read_subject(subject, namespace))
        .collect();
    let label = if namespace.is_empty() {
        format!("ClusterRoleBinding {}", meta::field::quote(object.name()))
    } else {
        format!(
            "RoleBinding {}",
            meta::field::quote(&format!("{}/{namespace}", object.name()))
        )
    };
    Some(Binding {
        label,
        subjects,
        role,
    })
}

fn role_ref(kind: &str, namespace: &str, name: &str) -> Option<RoleRef> {
    match kind {
        "ClusterRole" => Some(RoleRef::Cluster(name.to_owned())),
        "Role" => Some(RoleRef::Namespaced {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
        _ => None,
    }
}

fn read_subject(subject: &Value, binding_namespace: &str) -> Option<Subject> {
    let name = subject.str_at(&["name"])?.to_owned();
    match subject.str_at(&["kind"])? {
        "User" => Some(Subject::User(name)),
        "Group" => Some(Subject::Group(name)),
        "ServiceAccount" => {
            let namespace = subject
                .str_at(&["namespace"])
                .unwrap_or(binding_namespace)
                .to_owned();
            Some(Subject::ServiceAccount { namespace, name })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
