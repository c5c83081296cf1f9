//! What is wrong with an object of any kind: its metadata first, then what the kind says.

use meta::{FieldError, Object};
use serde_json::Value;

use crate::kind::Kind;
use crate::metadata;
pub use crate::metadata::{
    TAKEN_AT_STATUS_UPDATE, allows_create_on_update, fixed_at_status_update, needs_version,
    reset_fields,
};
use crate::schema::{self, Schema};
use crate::status;
use crate::strategy::Context;

/// What is told of fields that must not be there at all, be they empty.
const TOLD_OF_EMPTY: [&str; 5] = [
    "cannot be set",
    "cannot be set for an Ephemeral Container",
    "claims may not be set for Resources at pod-level",
    "field is immutable when `immutable` is set",
    "only one of `sharedCounters` or `devices` is allowed",
];

/// Whether upstream tells this of an empty list or map, too, which is lost when an object is stored.
pub fn is_told_of_empty(error: &FieldError) -> bool {
    TOLD_OF_EMPTY.contains(&error.detail.as_str())
}

/// What is wrong with a new object that is prepared for storing.
pub fn validate_create(kind: &Kind, new: &Object, cx: &Context<'_>) -> Vec<FieldError> {
    let mut errors = kind.strategy.allow(new, None, cx);
    errors.extend(kind.strategy.validate_first(new, cx));
    let is_last = kind.strategy.checks_metadata_last();
    if !is_last {
        errors.extend(metadata::validate(kind, new));
        errors.extend(metadata::unqualified_finalizers(kind, new));
    }
    errors.extend(kind.strategy.validate(new, cx));
    if is_last && errors.is_empty() {
        errors.extend(metadata::validate(kind, new));
    }
    print_internally(kind, &mut errors);
    errors
}

/// What is wrong with a changed object, written through the object itself or through `cx.subresource`.
pub fn validate_update(
    kind: &Kind,
    new: &Object,
    old: &Object,
    cx: &Context<'_>,
) -> Vec<FieldError> {
    let is_status = cx.subresource == Some("status");
    let mut errors = Vec::new();
    if is_status {
        errors.extend(kind.strategy.allow(new, Some(old), cx));
    }
    errors.extend(metadata::of_change(kind, new, old, cx.subresource));
    errors.extend(kind.strategy.validate_update(new, old, cx));
    if is_status {
        errors.extend(status::check(&kind.kind, new, old));
    }
    print_internally(kind, &mut errors);
    errors
}

/// Has the structs in errors printed as upstream prints them.
pub fn print_internally(kind: &Kind, errors: &mut [FieldError]) {
    for error in errors {
        let is_composite = |value: &Value| value.is_object() || value.is_array();
        let Some(value) = error.bad_value.as_ref().filter(|value| is_composite(value)) else {
            continue;
        };
        if error.shown.is_some() {
            continue;
        }
        if let Some(schema) = schema_at(&kind.schema, &error.field) {
            error.shown = schema::internal::print(&schema.graph, &schema.ty, value);
        }
    }
}

/// The schema at an error's path; keys of maps and items of lists stand in brackets.
fn schema_at(root: &Schema, path: &str) -> Option<Schema> {
    let mut schema = root.clone();
    for step in path.split('.') {
        let (name, brackets) = step.split_at(step.find('[').unwrap_or(step.len()));
        schema = schema.field(name)?;
        for _ in brackets.matches('[') {
            schema = schema.item().or_else(|| schema.field(""))?;
        }
    }
    Some(schema)
}

#[cfg(test)]
mod tests;
