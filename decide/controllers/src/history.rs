//! Controller revisions: the templates that a daemon set or a stateful set has had.
//!
//! Source: `pkg/controller/history`.

use std::sync::Arc;

use meta::{Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, controller_reference, delete, edited, update};
use crate::hash::template_hash;
use crate::resources::CONTROLLER_REVISIONS;

/// Label of a revision with its hash. Source: `ControllerRevisionHashLabel`.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";
/// Label of a pod with its revision. Source: `apps/v1 ControllerRevisionHashLabelKey`.
pub(crate) const REVISION_LABEL: &str = "controller-revision-hash";

/// The revision of the current template.
#[derive(Debug)]
pub(crate) struct Current {
    /// Its name.
    pub(crate) name: String,
    /// Its hash.
    pub(crate) hash: String,
    /// What makes it exist and be the newest; `None` when it is.
    pub(crate) action: Option<Action>,
    /// Whether its name is taken by another template.
    pub(crate) is_collision: bool,
}

/// What a revision holds: the template, as a patch that brings it back.
fn data(owner: &Object) -> Value {
    let mut template = owner
        .at(&["spec", "template"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    template.set(&["$patch"], "replace".into());
    json!({ "spec": { "template": template } })
}

/// The template that a revision holds.
pub(crate) fn template(revision: &Object) -> Option<Value> {
    let mut template = revision.at(&["data", "spec", "template"])?.clone();
    template.remove(&["$patch"]);
    Some(template)
}

fn number(revision: &Object) -> i64 {
    revision.int_at(&["revision"]).unwrap_or_default()
}

/// Finds or decides to make the revision of the owner's template.
pub(crate) fn current(resource: &Resource, owner: &Object, revisions: &[Arc<Object>]) -> Current {
    let data = data(owner);
    let newest = revisions
        .iter()
        .map(|revision| number(revision))
        .max()
        .unwrap_or_default();
    let equal = revisions
        .iter()
        .filter(|revision| revision.get("data") == Some(&data))
        .max_by_key(|revision| number(revision));
    if let Some(known) = equal {
        let action = (number(known) < newest).then(|| {
            let raised = edited(known, |known| known.set(&["revision"], (newest + 1).into()));
            update(&CONTROLLER_REVISIONS, known, &raised)
        });
        let prefix = format!("{}-", owner.name());
        let hash = known
            .label(REVISION_LABEL)
            .or_else(|| known.label(HASH_LABEL));
        let hash = hash.unwrap_or_else(|| known.name().strip_prefix(&prefix).unwrap_or_default());
        return Current {
            name: known.name().to_owned(),
            hash: hash.to_owned(),
            action: action.flatten(),
            is_collision: false,
        };
    }
    let hash = template_hash(&data, owner.int_at(&["status", "collisionCount"]));
    let name = format!("{}-{hash}", owner.name());
    let is_collision = revisions.iter().any(|revision| revision.name() == name);
    let mut labels = owner
        .at(&["spec", "template", "metadata", "labels"])
        .cloned();
    let labels = labels.get_or_insert_with(|| json!({}));
    labels.set(&[HASH_LABEL], hash.clone().into());
    labels.set(&[REVISION_LABEL], hash.clone().into());
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": name, "namespace": owner.namespace(), "labels": labels,
            "ownerReferences": [controller_reference(resource, owner)],
        },
        "data": data, "revision": newest + 1,
    });
    if let Some(annotations) = owner.at(&["metadata", "annotations"]) {
        let mut annotations = annotations.clone();
        annotations.remove(&["kubectl.kubernetes.io/last-applied-configuration"]);
        object.set(&["metadata", "annotations"], annotations);
    }
    let action = Action::Create {
        resource: CONTROLLER_REVISIONS,
        object,
        report: None,
    };
    Current {
        name,
        hash,
        action: (!is_collision).then_some(action),
        is_collision,
    }
}

/// Deletes the oldest revisions beyond the limit that no pod uses; `used` are names or hashes.
pub(crate) fn trim(owner: &Object, revisions: &[Arc<Object>], used: &[&str]) -> Vec<Action> {
    let limit = owner
        .int_at(&["spec", "revisionHistoryLimit"])
        .unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or_default();
    let is_used = |revision: &Object| {
        used.contains(&revision.name())
            || revision
                .label(REVISION_LABEL)
                .is_some_and(|hash| used.contains(&hash))
    };
    let mut idle: Vec<_> = revisions
        .iter()
        .filter(|revision| !is_used(revision))
        .collect();
    idle.sort_by_key(|revision| (number(revision), revision.name().to_owned()));
    let surplus = idle.len().saturating_sub(limit);
    idle.into_iter()
        .take(surplus)
        .map(|revision| delete(&CONTROLLER_REVISIONS, revision))
        .collect()
}
