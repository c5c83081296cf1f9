//! Who owns what: adoption of orphans that match a selector, release of those that no longer do.
//!
//! Source: `controller_ref_manager.go`, `ClaimObject`.

use std::sync::Arc;

use meta::selector::LabelSelector;
use meta::{Object, ObjectExt, Resource};
use serde_json::Value;

use crate::action::{Action, controller_reference, edited, update};
use crate::snapshot::Snapshot;

/// The outcome of claiming.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// What the owner has now, adopted objects among them; sorted by name.
    pub owned: Vec<Arc<Object>>,
    /// The patches that adopt and release.
    pub actions: Vec<Action>,
}

/// What could belong to an owner: what it controls, and the orphans of its namespace.
pub fn candidates(
    snapshot: &dyn Snapshot,
    resource: &Resource,
    owner: &Object,
) -> Vec<Arc<Object>> {
    let mut found = snapshot.controlled_by(resource, owner.uid());
    let orphans = snapshot.controlled_by(resource, "");
    found.extend(
        orphans
            .into_iter()
            .filter(|orphan| orphan.namespace() == owner.namespace()),
    );
    found
}

/// Sorts candidates into owned ones, and says which to adopt and which to release. `finalizer` is what the owner keeps
/// its objects with: adopted ones get it, released ones lose it.
pub fn claim(
    owner_resource: &Resource,
    owner: &Object,
    selector: &LabelSelector,
    resource: &Resource,
    candidates: &[Arc<Object>],
    finalizer: Option<&str>,
) -> Claims {
    let mut claims = Claims::default();
    for object in candidates {
        let matches = !selector.is_everything() && selector.matches(&object.labels());
        match object.controller().map(|owner| owner.str_at(&["uid"])) {
            Some(uid) if uid != Some(owner.uid()) => {}
            Some(_) if matches => claims.owned.push(Arc::clone(object)),
            Some(_) if owner.deletion_timestamp().is_none() => {
                claims
                    .actions
                    .extend(release(resource, object, owner.uid(), finalizer));
            }
            None if matches
                && owner.deletion_timestamp().is_none()
                && object.deletion_timestamp().is_none()
                && object.namespace() == owner.namespace() =>
            {
                claims
                    .actions
                    .extend(adopt(resource, object, owner_resource, owner, finalizer));
                claims.owned.push(Arc::clone(object));
            }
            Some(_) | None => {}
        }
    }
    claims.owned.sort_by(|a, b| a.name().cmp(b.name()));
    claims
}

fn adopt(
    resource: &Resource,
    object: &Arc<Object>,
    owner_resource: &Resource,
    owner: &Object,
    finalizer: Option<&str>,
) -> Option<Action> {
    let adopted = edited(object, |object| {
        let mut owners = object.owner_references().to_vec();
        owners.push(controller_reference(owner_resource, owner));
        object.set(&["metadata", "ownerReferences"], Value::Array(owners));
        if let Some(finalizer) = finalizer {
            hold(object, finalizer);
        }
    });
    update(resource, object, &adopted)
}

fn release(
    resource: &Resource,
    object: &Arc<Object>,
    owner_uid: &str,
    finalizer: Option<&str>,
) -> Option<Action> {
    let released = edited(object, |object| {
        let mut owners = object.owner_references().to_vec();
        owners.retain(|owner| owner.str_at(&["uid"]) != Some(owner_uid));
        if owners.is_empty() {
            object.remove(&["metadata", "ownerReferences"]);
        } else {
            object.set(&["metadata", "ownerReferences"], Value::Array(owners));
        }
        if let Some(finalizer) = finalizer {
            let_go(object, finalizer);
        }
    });
    update(resource, object, &released)
}

/// Adds a finalizer.
pub fn hold(object: &mut Object, finalizer: &str) {
    if !object.finalizers().contains(&finalizer) {
        let mut all: Vec<Value> = object.finalizers().into_iter().map(Into::into).collect();
        all.push(finalizer.into());
        object.set(&["metadata", "finalizers"], all.into());
    }
}

/// Takes a finalizer away.
pub fn let_go(object: &mut Object, finalizer: &str) {
    let others = object.finalizers().into_iter();
    let others = others.filter(|other| *other != finalizer);
    let kept: Vec<Value> = others.map(Into::into).collect();
    if kept.is_empty() {
        object.remove(&["metadata", "finalizers"]);
    } else {
        object.set(&["metadata", "finalizers"], kept.into());
    }
}

/// The keys a change of a dependent concerns: its controller when that is of the subject kind, else, for an orphan,
/// every subject in its namespace whose selector matches it.
pub fn concerned_owners(
    snapshot: &dyn Snapshot,
    subject: &Resource,
    object: &Object,
) -> Vec<meta::Key> {
    if let Some(owner) = object.controller() {
        let is_subject = owner.str_at(&["kind"]) == Some(&*subject.kind)
            && owner
                .str_at(&["apiVersion"])
                .and_then(meta::id::split_api_version)
                .map(|(group, _)| group)
                == Some(&*subject.group);
        let name = owner.str_at(&["name"]).unwrap_or_default();
        return if is_subject {
            vec![meta::Key::new(object.namespace(), name)]
        } else {
            Vec::new()
        };
    }
    let labels = object.labels();
    if labels.is_empty() {
        return Vec::new();
    }
    let subjects = snapshot.list(subject, object.namespace());
    let matching = subjects.iter().filter(|subject| {
        selector_of(subject)
            .is_some_and(|selector| !selector.is_everything() && selector.matches(&labels))
    });
    matching.map(|subject| subject.key()).collect()
}

/// `spec.selector`, in either of its forms: a label selector, or the plain map of the older kinds.
pub fn selector_of(object: &Object) -> Option<LabelSelector> {
    let selector = object.at(&["spec", "selector"])?;
    let is_plain = selector
        .as_object()
        .is_some_and(|map| !map.is_empty() && map.values().all(Value::is_string));
    if is_plain {
        let labels = selector.as_object()?.iter();
        let labels =
            labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        return Some(LabelSelector::from_labels(&labels.collect()));
    }
    LabelSelector::from_object(Some(selector))
}
