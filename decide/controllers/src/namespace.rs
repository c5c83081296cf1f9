//! Namespaces on their way out: what is left in them, and when they may go.
//!
//! Source: `pkg/controller/namespace/deletion`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::condition;
use crate::controller::Status;
use crate::resources::NAMESPACES;

/// The controller's name.
pub const NAME: &str = "namespace-controller";
/// The finalizer that this controller removes.
const FINALIZER: &str = "kubernetes";

/// What was found after an attempt to delete everything.
#[derive(Debug)]
pub struct Observed {
    /// The namespace, which is being deleted.
    pub namespace: Arc<Object>,
    /// How many objects of each resource are left.
    pub remaining: BTreeMap<Resource, usize>,
    /// How many of them each finalizer holds.
    pub finalizers: BTreeMap<String, usize>,
    /// Why something could not be deleted.
    pub errors: Vec<String>,
    /// Groups whose resources could not be discovered.
    pub undiscovered: Vec<String>,
}

/// What to do with the namespace.
#[derive(Debug, PartialEq)]
pub struct Step {
    /// The status it should have.
    pub status: Status,
    /// The namespace without our finalizer, to be sent to `finalize`; `None` while something is left.
    pub finalized: Option<Object>,
}

/// Whether there is still something for us to do.
pub fn is_ours(namespace: &Object) -> bool {
    namespace.deletion_timestamp().is_some()
        && namespace
            .list_at(&["spec", "finalizers"])
            .iter()
            .any(|known| known == FINALIZER)
}

/// Decides about a namespace.
pub fn decide(seen: &Observed, now: Timestamp) -> Step {
    let mut status = seen
        .namespace
        .get("status")
        .cloned()
        .unwrap_or_else(|| json!({}));
    status.set(&["phase"], "Terminating".into());
    for (kind, is_bad, reason, message) in conditions(seen) {
        set(&mut status, kind, is_bad, reason, &message, now);
    }
    let is_empty =
        seen.remaining.is_empty() && seen.errors.is_empty() && seen.undiscovered.is_empty();
    let finalized = is_empty.then(|| {
        let mut object = Object::clone(&seen.namespace);
        let kept = object.list_at(&["spec", "finalizers"]).iter();
        let kept: Vec<Value> = kept.filter(|known| *known != FINALIZER).cloned().collect();
        object.set(&["spec", "finalizers"], Value::Array(kept));
        object
    });
    Step {
        status: Status {
            resource: NAMESPACES,
            seen: Arc::clone(&seen.namespace),
            status,
        },
        finalized,
    }
}

/// Type, whether it holds, reason, message.
type Condition = (&'static str, bool, &'static str, String);

fn conditions(seen: &Observed) -> [Condition; 5] {
    let groups = seen.undiscovered.join(", ");
    let failing = seen.undiscovered.len();
    let remaining = sorted(seen.remaining.iter().map(|(resource, count)| {
        format!(
            "{}.{} has {count} resource instances",
            resource.plural, resource.group
        )
    }));
    let held = seen.finalizers.iter();
    let held = sorted(held.map(|(name, count)| format!("{name} in {count} resource instances")));
    let errors = sorted(seen.errors.iter().cloned());
    [
        either(
            "NamespaceDeletionDiscoveryFailure",
            ("ResourcesDiscovered", "All resources successfully discovered"),
            ("DiscoveryFailed", (failing > 0).then(|| format!(
                "Discovery failed for some groups, {failing} failing: unable to retrieve the complete list of server APIs: {groups}"
            ))),
        ),
        either(
            "NamespaceDeletionGroupVersionParsingFailure",
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ("GroupVersionParsingFailed", None),
        ),
        either(
            "NamespaceDeletionContentFailure",
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            ("ContentDeletionFailed", (!errors.is_empty()).then(|| {
                let count = seen.errors.len();
                format!("Failed to delete all resource types, {count} remaining: {errors}")
            })),
        ),
        either(
            "NamespaceContentRemaining",
            ("ContentRemoved", "All content successfully removed"),
            ("SomeResourcesRemain", (!remaining.is_empty())
                .then(|| format!("Some resources are remaining: {remaining}"))),
        ),
        either(
            "NamespaceFinalizersRemaining",
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            ("SomeFinalizersRemain", (!held.is_empty())
                .then(|| format!("Some content in the namespace has finalizers remaining: {held}"))),
        ),
    ]
}

fn sorted(parts: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<String> = parts.collect();
    parts.sort();
    parts.join(", ")
}

/// The bad form of a condition when there is something to say, else the good one.
fn either(
    kind: &'static str,
    good: (&'static str, &str),
    bad: (&'static str, Option<String>),
) -> Condition {
    match bad.1 {
        Some(message) => (kind, true, bad.0, message),
        None => (kind, false, good.0, good.1.to_owned()),
    }
}

/// Sets a condition in its place; its time moves with its status alone.
fn set(status: &mut Value, kind: &str, is_bad: bool, reason: &str, message: &str, now: Timestamp) {
    let value = if is_bad { "True" } else { "False" };
    let known = condition::find(status, kind);
    let since = known
        .filter(|known| known.str_at(&["status"]) == Some(value))
        .and_then(|known| known.str_at(&["lastTransitionTime"]))
        .map_or_else(|| meta::time::to_rfc3339(now), str::to_owned);
    let right = json!({
        "type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": since,
    });
    if let Some(Value::Array(conditions)) = status.get_mut("conditions")
        && let Some(known) = conditions
            .iter_mut()
            .find(|known| known.str_at(&["type"]) == Some(kind))
    {
        *known = right;
        return;
    }
    condition::put(status, right);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::PODS;
    use crate::testing::time;

    fn seen() -> Observed {
        Observed {
            namespace: Arc::new(json!({
                "metadata": { "name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z" },
                "spec": { "finalizers": ["kubernetes", "mine"] },
            })),
            remaining: BTreeMap::new(),
            finalizers: BTreeMap::new(),
            errors: Vec::new(),
            undiscovered: Vec::new(),
        }
    }

    #[test]
    fn an_empty_namespace_loses_our_finalizer_alone() {
        let seen = seen();
        assert!(is_ours(&seen.namespace));
        let finalized = decide(&seen, time(0)).finalized.unwrap();
        assert_eq!(finalized["spec"]["finalizers"], json!(["mine"]));
        assert!(!is_ours(&finalized));
    }

    #[test]
    fn what_is_left_is_said() {
        let mut seen = seen();
        seen.remaining.insert(PODS, 2);
        seen.finalizers.insert("example.com/hold".into(), 1);
        let step = decide(&seen, time(0));
        assert_eq!(step.finalized, None);
        let message = |kind| condition::find(&step.status.status, kind).unwrap()["message"].clone();
        assert_eq!(
            message("NamespaceContentRemaining"),
            "Some resources are remaining: pods. has 2 resource instances"
        );
        assert_eq!(
            message("NamespaceFinalizersRemaining"),
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        );
    }

    #[test]
    fn an_error_keeps_the_namespace() {
        let mut seen = seen();
        seen.errors.push("no".into());
        assert_eq!(decide(&seen, time(0)).finalized, None);
    }
}
