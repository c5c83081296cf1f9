//! What is wrong with an object of any kind: its metadata first, then what the kind says.

use meta::{FieldError, Object};

use crate::kind::Kind;
use crate::metadata;
use crate::strategy::Context;

/// What is wrong with a new object that is prepared for storing.
pub fn validate_create(kind: &Kind, new: &Object, cx: &Context<'_>) -> Vec<FieldError> {
    let mut errors = metadata::validate(kind, new);
    errors.extend(kind.strategy.validate(new, cx));
    errors
}

/// What is wrong with a changed object, written through the object itself or through `cx.subresource`.
pub fn validate_update(
    kind: &Kind,
    new: &Object,
    old: &Object,
    cx: &Context<'_>,
) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    // Upstream's generic code checks metadata, and so does the kind's own: causes come twice.
    errors.extend(errors.clone());
    errors.extend(kind.strategy.validate_update(new, old, cx));
    errors
}
