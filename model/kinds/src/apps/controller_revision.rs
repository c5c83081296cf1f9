//! ControllerRevision.

use meta::{FieldError, Object};

use crate::check::{Errors, Node};

/// Source: `validateControllerRevision`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    if !root.has("data") {
        errors.push(FieldError::required(&root.at("data"), "data is mandatory"));
    }
    root.not_negative("revision", errors);
}

/// The recorded data stays.
pub(super) fn change(new: &Object, old: &Object, errors: &mut Errors) {
    Node::root(new).immutable(&Node::root(old), "data", errors);
}
