//! PodSecurity: a namespace's labels say which pods it takes, and about which it warns.
//!
//! Source: `staging/src/k8s.io/pod-security-admission` (`admission`, `api`).

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kinds::strategy::{Lookup, Operation};
use meta::field::{aggregate, quote};
use meta::{FieldError, Object, ObjectExt, Path, StatusError};

use super::{Plugin, Request};

/// The labels of a namespace that say what it asks for.
mod label {
    pub(super) const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
    pub(super) const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
    pub(super) const AUDIT: &str = "pod-security.kubernetes.io/audit";
    pub(super) const AUDIT_VERSION: &str = "pod-security.kubernetes.io/audit-version";
    pub(super) const WARN: &str = "pod-security.kubernetes.io/warn";
    pub(super) const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";
}
/// Pods of a namespace that are looked at when it becomes stricter. Source: `defaultNamespaceMaxPodsToCheck`.
const PODS_MAX: usize = 3000;
/// Subresources of pods that cannot break a policy.
const IGNORED: [&str; 8] = [
    "attach",
    "binding",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "status",
];
/// Where the pod template of a kind lies.
const TEMPLATES: [(&str, &[&str]); 8] = [
    (
        "cronjobs.batch",
        &["spec", "jobTemplate", "spec", "template"],
    ),
    ("daemonsets.apps", &["spec", "template"]),
    ("deployments.apps", &["spec", "template"]),
    ("jobs.batch", &["spec", "template"]),
    ("podtemplates", &["template"]),
    ("replicasets.apps", &["spec", "template"]),
    ("replicationcontrollers", &["spec", "template"]),
    ("statefulsets.apps", &["spec", "template"]),
];

/// How much a policy asks for; later is stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// A level as of a minor version; `None` is the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LevelVersion {
    level: Level,
    minor: Option<u32>,
}

impl fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.minor {
            Some(minor) => write!(f, "{level}:v1.{minor}"),
            None => write!(f, "{level}:latest"),
        }
    }
}

/// What a namespace asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policy {
    enforce: LevelVersion,
    audit: LevelVersion,
    warn: LevelVersion,
}

/// What the audit log is told. Source: `pod-security-admission/api/constants.go`.
mod annotation {
    pub(super) const ENFORCE_POLICY: &str = "pod-security.kubernetes.io/enforce-policy";
    pub(super) const AUDIT_VIOLATIONS: &str = "pod-security.kubernetes.io/audit-violations";
    pub(super) const ERROR: &str = "pod-security.kubernetes.io/error";
}

pub(super) struct PodSecurity;

impl Plugin for PodSecurity {
    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if request.is_for("namespaces", &[Operation::Create, Operation::Update]) {
            return check_namespace(request);
        }
        let (true, Some(pod)) = (is_judged(request), &request.object) else {
            return Ok(());
        };
        let Some(namespace) = cluster.get("namespaces", "", &request.namespace) else {
            return Err(StatusError::internal(format!(
                "failed to lookup namespace {}",
                quote(&request.namespace)
            )));
        };
        let (policy, _) = Policy::read(&namespace);
        match violations(policy.enforce, pod) {
            Some(details) => Err(request.forbidden(&format!(
                "violates PodSecurity {}: {details}",
                quote(&policy.enforce.to_string())
            ))),
            None => Ok(()),
        }
    }

    fn warnings(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Vec<String> {
        if request.is_for("namespaces", &[Operation::Update]) {
            return namespace_warnings(request, cluster);
        }
        let Some(pod) = judged(request) else {
            return Vec::new();
        };
        let Some(namespace) = cluster.get("namespaces", "", &request.namespace) else {
            return Vec::new();
        };
        let (policy, _) = Policy::read(&namespace);
        if request.is_of("pods") && policy.warn == policy.enforce {
            return Vec::new();
        }
        let warning = violations(policy.warn, pod).map(|details| {
            let warn = quote(&policy.warn.to_string());
            format!("would violate PodSecurity {warn}: {details}")
        });
        warning.into_iter().collect()
    }

    fn annotations(
        &self,
        request: &Request<'_>,
        cluster: &dyn Lookup,
    ) -> Vec<(&'static str, String)> {
        let is_pod = request.is_of("pods") && !IGNORED.contains(&request.subresource.as_str());
        let Some(namespace) = cluster.get("namespaces", "", &request.namespace) else {
            return Vec::new();
        };
        let (policy, errors) = Policy::read(&namespace);
        let enforced = (annotation::ENFORCE_POLICY, policy.enforce.to_string());
        let writes = matches!(request.operation, Operation::Create | Operation::Update);
        if errors.is_empty() && policy.is_privileged() {
            let enforced = (enforced.0, Policy::PRIVILEGED.enforce.to_string());
            return Vec::from_iter((is_pod && writes).then_some(enforced));
        }
        let Some(pod) = judged(request) else {
            return Vec::new();
        };
        let mut annotations = Vec::from_iter(is_pod.then_some(enforced));
        if !errors.is_empty() {
            let why = format!("Failed to parse policy: {}", aggregate(&errors));
            annotations.push((annotation::ERROR, why));
        }
        if let Some(details) = violations(policy.audit, pod) {
            let audit = quote(&policy.audit.to_string());
            let why = format!("would violate PodSecurity {audit}: {details}");
            annotations.push((annotation::AUDIT_VIOLATIONS, why));
        }
        annotations
    }
}

/// The pod, or the template of pods, in a write that is judged.
fn judged<'a>(request: &'a Request<'_>) -> Option<&'a Object> {
    let object = request.object.as_ref()?;
    let resource = request.resource.to_string();
    let template = TEMPLATES.iter().find(|(known, _)| *known == resource);
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    match template {
        Some((_, path)) if request.subresource.is_empty() && writes => object.at(path),
        _ if is_judged(request) => Some(object),
        _ => None,
    }
}

/// Whether a write of a pod may bring in what the policy forbids.
fn is_judged(request: &Request<'_>) -> bool {
    if !request.is_of("pods") || IGNORED.contains(&request.subresource.as_str()) {
        return false;
    }
    match (request.operation, &request.object, &request.old) {
        (Operation::Create, Some(_), _) => true,
        (Operation::Update, Some(new), Some(old)) => is_significant(new, old),
        _ => false,
    }
}

/// Whether an update brings containers or images. Source: `isSignificantPodUpdate`.
fn is_significant(new: &Object, old: &Object) -> bool {
    let images = |pod: &Object, list: &str| -> Vec<Option<String>> {
        let containers = pod.list_at(&["spec", list]).iter();
        containers
            .map(|container| container.str_at(&["image"]).map(str::to_owned))
            .collect()
    };
    let differs = |list: &str| images(new, list) != images(old, list);
    let known = old.list_at(&["spec", "ephemeralContainers"]);
    let is_known = |container: &Object| {
        known.iter().any(|other| {
            other.str_at(&["name"]) == container.str_at(&["name"])
                && other.str_at(&["image"]) == container.str_at(&["image"])
        })
    };
    let debug = new.list_at(&["spec", "ephemeralContainers"]);
    differs("containers") || differs("initContainers") || !debug.iter().all(is_known)
}

/// What a pod breaks; `None` when nothing.
fn violations(policy: LevelVersion, pod: &Object) -> Option<String> {
    let parts: Vec<String> = checks::run(policy, pod)
        .into_iter()
        .map(|violation| violation.to_string())
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Refuses labels that mean nothing, unless they were there.
fn check_namespace(request: &Request<'_>) -> Result<(), StatusError> {
    let Some(new) = &request.object else {
        return Ok(());
    };
    let (_, errors) = Policy::read(new);
    let before = request.old.as_ref().map(|old| Policy::read(old).1);
    if errors.is_empty() || before.is_some_and(|before| before == errors) {
        return Ok(());
    }
    Err(StatusError::invalid("", "Namespace", new.name(), &errors))
}

/// Says which pods that are there break a policy that just became stricter.
fn namespace_warnings(request: &Request<'_>, cluster: &dyn Lookup) -> Vec<String> {
    let (Some(new), Some(old)) = (&request.object, &request.old) else {
        return Vec::new();
    };
    let (enforce, before) = (Policy::read(new).0.enforce, Policy::read(old).0.enforce);
    let is_stricter = enforce.minor != before.minor || enforce.level > before.level;
    if enforce == before || enforce.level == Level::Privileged || !is_stricter {
        return Vec::new();
    }
    let pods = by_interest(cluster.list("pods", new.name()));
    let mut warnings = Vec::new();
    if pods.len() > PODS_MAX {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {PODS_MAX} of {} existing pods",
            pods.len()
        ));
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pod in pods.iter().take(PODS_MAX) {
        let reasons: Vec<String> = checks::run(enforce, pod)
            .into_iter()
            .map(|violation| violation.reason)
            .collect();
        if !reasons.is_empty() {
            let names = found.entry(reasons.join(", ")).or_default();
            names.insert(pod.name().to_owned());
        }
    }
    if found.is_empty() {
        return warnings;
    }
    warnings.push(format!(
        "existing pods in namespace {} violate the new PodSecurity enforce level {}",
        quote(new.name()),
        quote(&enforce.to_string())
    ));
    let mut lines: Vec<String> = found
        .iter()
        .filter_map(|(reasons, names)| {
            let first = names.first()?;
            Some(match names.len() {
                1 => format!("{first}: {reasons}"),
                2 => format!("{first} (and 1 other pod): {reasons}"),
                many => format!("{first} (and {} other pods): {reasons}", many - 1),
            })
        })
        .collect();
    lines.sort();
    warnings.extend(lines);
    warnings
}

/// Pods without a controller and one of each controller first. Source: `prioritizePods`.
fn by_interest(pods: Vec<Arc<Object>>) -> Vec<Arc<Object>> {
    let mut seen = BTreeSet::new();
    let (mut first, more): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| {
        pod.controller()
            .is_none_or(|owner| seen.insert(owner.str_at(&["uid"]).unwrap_or_default().to_owned()))
    });
    first.extend(more);
    first
}

impl Policy {
    /// What a namespace asks for that says nothing.
    const PRIVILEGED: Self = {
        let none = LevelVersion {
            level: Level::Privileged,
            minor: None,
        };
        Self {
            enforce: none,
            audit: none,
            warn: none,
        }
    };

    /// Whether nothing is asked for.
    fn is_privileged(&self) -> bool {
        [self.enforce, self.audit, self.warn]
            .iter()
            .all(|asked| asked.level == Level::Privileged)
    }

    /// Reads a namespace's labels; what is wrong with them makes the policy strict, and is told.
    ///
    /// Source: `PolicyToEvaluate`.
    fn read(namespace: &Object) -> (Self, Vec<FieldError>) {
        let mut policy = Self::PRIVILEGED;
        let mut errors = Vec::new();
        let level = |label: &str, errors: &mut Vec<FieldError>| {
            let text = namespace.label(label)?;
            let level = parse_level(text);
            if level.is_none() {
                let why = "must be one of privileged, baseline, restricted";
                errors.push(error(label, text, why));
            }
            Some(level)
        };
        let version = |label: &str, errors: &mut Vec<FieldError>| {
            let text = namespace.label(label)?;
            let version = parse_version(text);
            if version.is_none() {
                errors.push(error(label, text, "must be \"latest\" or \"v1.x\""));
            }
            Some(version.unwrap_or_default())
        };
        let enforce = level(label::ENFORCE, &mut errors);
        policy.enforce.level = enforce.map_or(Level::Privileged, |level| {
            level.unwrap_or(Level::Restricted)
        });
        policy.enforce.minor = version(label::ENFORCE_VERSION, &mut errors).unwrap_or_default();
        let audit = level(label::AUDIT, &mut errors);
        policy.audit.level = audit.flatten().unwrap_or(Level::Privileged);
        policy.audit.minor = version(label::AUDIT_VERSION, &mut errors).unwrap_or_default();
        let warn = level(label::WARN, &mut errors);
        policy.warn.level = warn.flatten().unwrap_or(Level::Privileged);
        let warn_version = version(label::WARN_VERSION, &mut errors);
        policy.warn.minor = warn_version.unwrap_or_default();
        if let (None, Some(Some(enforced))) = (warn, enforce)
            && enforced > policy.warn.level
        {
            policy.warn.level = enforced;
            policy.warn.minor = warn_version.unwrap_or(policy.enforce.minor);
        }
        (policy, errors)
    }
}

fn error(label: &str, text: &str, why: &str) -> FieldError {
    let path = Path::new("metadata").child("labels").key(label);
    FieldError::invalid(&path, text, why)
}

fn parse_level(text: &str) -> Option<Level> {
    match text {
        "privileged" => Some(Level::Privileged),
        "baseline" => Some(Level::Baseline),
        "restricted" => Some(Level::Restricted),
        _ => None,
    }
}

/// The minor version; the inner `None` is the latest.
#[expect(
    clippy::option_option,
    reason = "not a version, and no version in particular, are two things"
)]
fn parse_version(text: &str) -> Option<Option<u32>> {
    if text == "latest" {
        return Some(None);
    }
    let digits = text.strip_prefix("v1.")?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    if !is_plain {
        return None;
    }
    digits.parse().ok().map(Some)
}

#[cfg(test)]
mod tests;
