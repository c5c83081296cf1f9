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
    // Upstream looks at the metadata once for all kinds and once more in each kind's own rules; both are reported.
    let mut errors = metadata::validate_update(new, old);
    errors.extend_from_within(..);
    errors.extend(kind.strategy.validate_update(new, old, cx));
    errors
}

#[cfg(test)]
mod tests;
