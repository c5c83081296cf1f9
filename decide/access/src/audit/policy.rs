//! The audit policy: reading it, what is wrong with it, and what it says about a request.
//!
//! Source: apiserver `audit/policy` (`reader.go`, `checker.go`), `apis/audit/validation`.

use std::collections::BTreeMap;

use meta::field::{aggregate, quote};
use meta::{FieldError, Path, names};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use thiserror::Error;

use super::{Level, Stage, Stages};
use crate::attributes::Attributes;

/// The version that policies are written in.
const API_VERSION: &str = "audit.k8s.io/v1";

/// Why a policy cannot be used, in upstream's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PolicyError {
    /// It is no policy.
    #[error("failed decoding: {0}")]
    Decode(String),
    /// It breaks rules.
    #[error("{0}")]
    Invalid(String),
    /// It says nothing.
    #[error("loaded illegal policy with 0 rules")]
    Empty,
}

/// What is audited, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    default: Audited,
}

/// One rule: which requests, and what is told of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    selects: RawRule,
    audited: Audited,
}

/// What is told of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// How much.
    pub level: Level,
    /// Stages of which nothing is told.
    pub omit_stages: Stages,
    /// Whether the managed fields of bodies are left out.
    pub omit_managed_fields: bool,
}

/// `audit.k8s.io/v1 Policy` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawPolicy {
    rules: Vec<RawRule>,
    omit_stages: Vec<String>,
    omit_managed_fields: bool,
    /// Any object's, and not looked at.
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    #[serde(rename = "metadata")]
    _metadata: IgnoredAny,
    #[serde(flatten)]
    unknown: Unknown,
}

/// `PolicyRule` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawRule {
    level: String,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// `GroupResources` as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// Fields that no type has.
type Unknown = BTreeMap<String, Value>;

impl Policy {
    /// Reads a policy; answers also with complaints about what it says in vain.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn read(document: Value) -> Result<(Self, Vec<String>), PolicyError> {
        check_kind(&document)?;
        let raw: RawPolicy = serde_json::from_value(without_nulls(document))
            .map_err(|error| PolicyError::Decode(error.to_string()))?;
        let errors = validate(&raw);
        if !errors.is_empty() {
            return Err(PolicyError::Invalid(aggregate(&errors)));
        }
        if raw.rules.is_empty() {
            return Err(PolicyError::Empty);
        }
        let unknown = unknown(&raw);
        let default = Audited {
            level: Level::None,
            omit_stages: stages(&raw.omit_stages),
            omit_managed_fields: raw.omit_managed_fields,
        };
        let rules = raw.rules.into_iter().map(|rule| Rule {
            audited: Audited {
                level: level(&rule.level).unwrap_or(Level::None),
                omit_stages: default.omit_stages.union(stages(&rule.omit_stages)),
                omit_managed_fields: rule
                    .omit_managed_fields
                    .unwrap_or(default.omit_managed_fields),
            },
            selects: rule,
        });
        let rules = rules.collect();
        Ok((Self { rules, default }, unknown))
    }

    /// What is told of a request: the first rule that selects it says so; without one nothing is told.
    pub fn evaluate(&self, request: &Attributes) -> Audited {
        let rule = self.rules.iter().find(|rule| rule.selects.selects(request));
        rule.map_or(self.default, |rule| rule.audited)
    }
}

impl RawRule {
    fn selects(&self, request: &Attributes) -> bool {
        let user = &request.user;
        let is_named = |list: &[String], name: &String| list.is_empty() || list.contains(name);
        let is_of_group = self.user_groups.is_empty()
            || user
                .groups
                .iter()
                .any(|group| self.user_groups.contains(group));
        if !is_named(&self.users, &user.name)
            || !is_of_group
            || !is_named(&self.verbs, &request.verb)
        {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            let is_listed = |resource: &GroupResources| resource.selects(request);
            return request.is_resource
                && is_named(&self.namespaces, &request.namespace)
                && (self.resources.is_empty() || self.resources.iter().any(is_listed));
        }
        let is_path = |url: &String| path_matches(&request.path, url);
        self.non_resource_urls.is_empty()
            || (!request.is_resource && self.non_resource_urls.iter().any(is_path))
    }
}

impl GroupResources {
    fn selects(&self, request: &Attributes) -> bool {
        if self.group != "*" && self.group != request.group {
            return false;
        }
        if self.resources.is_empty() {
            return true;
        }
        if !self.resource_names.is_empty() && !self.resource_names.contains(&request.name) {
            return false;
        }
        let (resource, subresource) = (request.resource.as_str(), request.subresource.as_str());
        self.resources.iter().any(|known| {
            known == "*"
                || match known.split_once('/') {
                    None => known == resource && subresource.is_empty(),
                    Some((of, "*")) if of == resource => true,
                    Some(("*", of)) => of == subresource && !subresource.is_empty(),
                    Some((of, sub)) => of == resource && sub == subresource,
                }
        })
    }
}

fn path_matches(path: &str, url: &str) -> bool {
    url == "*" || url == path || (url.ends_with('*') && path.starts_with(url.trim_end_matches('*')))
}

fn level(name: &str) -> Option<Level> {
    Level::ALL.into_iter().find(|level| level.name() == name)
}

fn stage(name: &str) -> Option<Stage> {
    Stage::ALL.into_iter().find(|stage| stage.name() == name)
}

fn stages(names: &[String]) -> Stages {
    names.iter().filter_map(|name| stage(name)).collect()
}

/// Where upstream knows the kinds of audit.
const SCHEME: &str = "k8s.io/apiserver/pkg/audit/scheme.go:30";

fn check_kind(document: &Value) -> Result<(), PolicyError> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or("");
    let (version, kind) = (text("apiVersion"), text("kind"));
    let why = match (version, kind) {
        (_, "") => format!("Object 'Kind' is missing in '{document}'"),
        ("", _) => format!("Object 'apiVersion' is missing in '{document}'"),
        (API_VERSION, "Policy") => return Ok(()),
        _ => format!(
            "no kind {} is registered for version {} in scheme {}",
            quote(kind),
            quote(version),
            quote(SCHEME)
        ),
    };
    Err(PolicyError::Decode(why))
}

/// What is written as null is not written, as Go reads it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let said = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                said.map(|(key, value)| (key, without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// The fields that mean nothing, as upstream's strict decoder names them.
fn unknown(policy: &RawPolicy) -> Vec<String> {
    let shown = |place: String, unknown: &Unknown| -> Vec<String> {
        let names = unknown.keys();
        names
            .map(|name| format!("unknown field {}", quote(&format!("{place}{name}"))))
            .collect()
    };
    let mut all = shown(String::new(), &policy.unknown);
    for (index, rule) in policy.rules.iter().enumerate() {
        all.extend(shown(format!("rules[{index}]."), &rule.unknown));
        for (at, resource) in rule.resources.iter().enumerate() {
            let place = format!("rules[{index}].resources[{at}].");
            all.extend(shown(place, &resource.unknown));
        }
    }
    all
}

fn validate(policy: &RawPolicy) -> Vec<FieldError> {
    let mut errors = check_stages(&policy.omit_stages, &Path::new("omitStages"));
    let rules = Path::new("rules");
    for (index, rule) in policy.rules.iter().enumerate() {
        errors.extend(check_rule(rule, &rules.index(index)));
    }
    errors
}

fn check_rule(rule: &RawRule, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let at = path.child("level");
    if rule.level.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else if level(&rule.level).is_none() {
        let known = Level::ALL.map(Level::name);
        errors.push(FieldError::not_supported(&at, rule.level.as_str(), &known));
    }
    let urls = path.child("nonResourceURLs");
    errors.extend(check_urls(&rule.non_resource_urls, &urls));
    errors.extend(check_resources(&rule.resources, &path.child("resources")));
    errors.extend(check_stages(&rule.omit_stages, &path.child("omitStages")));
    let is_of_resources = !rule.resources.is_empty() || !rule.namespaces.is_empty();
    if !rule.non_resource_urls.is_empty() && is_of_resources {
        let why = "rules cannot apply to both regular resources and non-resource URLs";
        let given = rule.non_resource_urls.clone();
        errors.push(FieldError::invalid(&urls, given, why));
    }
    errors
}

fn check_urls(urls: &[String], path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, url) in urls.iter().enumerate().filter(|(_, url)| *url != "*") {
        let mut refuse = |why: &str| {
            errors.push(FieldError::invalid(&path.index(index), url.as_str(), why));
        };
        if !url.starts_with('/') {
            refuse("non-resource URL rules must begin with a '/' character");
        }
        let last = url.char_indices().last().map_or(0, |(at, _)| at);
        if url.get(..last).unwrap_or_default().contains('*') {
            refuse("non-resource URL wildcards '*' must be the final character of the rule");
        }
    }
    errors
}

fn check_resources(resources: &[GroupResources], path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for resource in resources {
        let group = resource.group.as_str();
        if !matches!(group, "" | "*") {
            let wrong = names::dns1123_subdomain(group);
            if !wrong.is_empty() {
                let why = wrong.join(",");
                errors.push(FieldError::invalid(&path.child("group"), group, why));
            }
        }
        if !resource.resource_names.is_empty() && resource.resources.is_empty() {
            let given = resource.resource_names.clone();
            let why = "using resourceNames requires at least one resource";
            errors.push(FieldError::invalid(
                &path.child("resourceNames"),
                given,
                why,
            ));
        }
    }
    errors
}

fn check_stages(stages: &[String], path: &Path) -> Vec<FieldError> {
    let wrong = stages
        .iter()
        .enumerate()
        .filter(|(_, name)| stage(name).is_none());
    wrong
        .map(|(index, name)| {
            let known = Stage::ALL.map(Stage::name).join(",");
            let why = format!("allowed stages are {known}");
            FieldError::invalid(&path.index(index), name.as_str(), why)
        })
        .collect()
}

#[cfg(test)]
mod tests;
