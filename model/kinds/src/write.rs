//! The middle of the one write path, between decoding and committing: what to do with an object of any kind.
//!
//! The caller decodes ([`crate::schema::decode`]), fills in ([`Kind::apply_defaults`]), admits, then calls `prepare_*`,
//! `validate_*`, and, under the resource's lock, [`crate::Strategy::allocate`].

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::Value;

use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::schema;
use crate::strategy::Context;

/// Server-owned fields of a new object: status, generation, and what the kind adds. The name is already generated.
pub fn prepare_create(kind: &Kind, new: &mut Object, cx: &Context<'_>) {
    if kind.subresource("status").is_some() && !kind.strategy.keeps_status_on_create() {
        reset_status(kind, new);
    }
    let metadata = new.child_mut("metadata");
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        metadata.drop_field(field);
    }
    if kind.strategy.has_generation() {
        metadata.put("generation", 1);
    } else {
        metadata.drop_field("generation");
    }
    kind.strategy.prepare_create(new, cx);
}

/// Server-owned fields of a changed object, written through the object itself.
pub fn prepare_update(kind: &Kind, new: &mut Object, old: &Object, cx: &Context<'_>) {
    if kind.subresource("status").is_some() {
        keep(new, old, "status");
        if old.get("status").is_none() {
            reset_status(kind, new);
        }
    }
    keep_metadata(new, old);
    kind.strategy.prepare_update(new, old, cx);
    if kind.strategy.has_generation() && differs(new, old) {
        let generation = old.generation() + 1;
        new.child_mut("metadata").put("generation", generation);
    }
}

/// Server-owned fields of an object written through the subresource `cx.subresource`. For `status`, everything but the
/// status and the managed fields stays as it was.
pub fn prepare_subresource(kind: &Kind, new: &mut Object, old: &Object, cx: &Context<'_>) {
    if cx.subresource == Some("status") {
        let status = new.get("status").cloned();
        let managed = new.at(&["metadata", "managedFields"]).cloned();
        let labels = new.at(&["metadata", "labels"]).cloned();
        let annotations = new.at(&["metadata", "annotations"]).cloned();
        let finalizers = new.at(&["metadata", "finalizers"]).cloned();
        let resource_version = new.at(&["metadata", "resourceVersion"]).cloned();
        *new = old.clone();
        if let Some(status) = status {
            new.put("status", status);
        }
        let metadata = new.child_mut("metadata");
        for (field, value) in [
            ("managedFields", managed),
            ("labels", labels),
            ("annotations", annotations),
            ("finalizers", finalizers),
            ("resourceVersion", resource_version),
        ] {
            match value {
                Some(value) => metadata.put(field, value),
                None => {
                    metadata.drop_field(field);
                }
            }
        }
    } else {
        keep_metadata(new, old);
    }
    kind.strategy.prepare_subresource(new, old, cx);
    if cx.subresource != Some("status") && kind.strategy.has_generation() && differs(new, old) {
        let generation = old.generation() + 1;
        new.child_mut("metadata").put("generation", generation);
    }
}

/// What is wrong with a new object: its metadata first, then what the kind says.
pub fn validate_create(kind: &Kind, new: &Object, cx: &Context<'_>) -> Vec<FieldError> {
    crate::metadata::validate(kind, new)
        .into_iter()
        .chain(kind.strategy.validate(new, cx))
        .collect()
}

/// What is wrong with a changed object, through the object itself or `cx.subresource`.
pub fn validate_update(
    kind: &Kind,
    new: &Object,
    old: &Object,
    cx: &Context<'_>,
) -> Vec<FieldError> {
    let metadata = crate::metadata::validate_update(new, old);
    metadata
        .into_iter()
        .chain(kind.strategy.validate_update(new, old, cx))
        .collect()
}

fn reset_status(kind: &Kind, object: &mut Object) {
    let status = kind
        .schema
        .field("status")
        .map(|status| schema::zero(&status.graph, &status.ty));
    match status {
        Some(status) if !status.is_null() => object.put("status", status),
        _ => {
            object.drop_field("status");
        }
    }
}

/// Identity and life cycle are the server's.
fn keep_metadata(new: &mut Object, old: &Object) {
    let source = old.get("metadata").cloned().unwrap_or_default();
    let metadata = new.child_mut("metadata");
    for field in ["generation", "selfLink"] {
        match source.get(field) {
            Some(value) => metadata.put(field, value.clone()),
            None => {
                metadata.drop_field(field);
            }
        }
    }
}

fn keep(new: &mut Object, old: &Object, field: &str) {
    match old.get(field) {
        Some(value) => new.put(field, value.clone()),
        None => {
            new.drop_field(field);
        }
    }
}

/// Whether anything but metadata and status changed.
fn differs(new: &Object, old: &Object) -> bool {
    let fields = |object: &Object| -> Vec<(String, Value)> {
        let map = object.as_object().into_iter().flatten();
        let kept = map.filter(|(name, _)| {
            !matches!(name.as_str(), "metadata" | "status" | "apiVersion" | "kind")
        });
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    fields(new) != fields(old)
}
