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

/// The recorded data stays, and is not looked at again. Source: `ValidateControllerRevisionUpdate`.
pub(super) fn change(new: &Object, old: &Object, errors: &mut Errors) {
    let new = Node::root(new);
    new.not_negative("revision", errors);
    new.immutable(&Node::root(old), "data", errors);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_that_goes_is_told_once() {
        let old = json!({"data": {"a": 1}, "revision": 1});
        let mut errors = Errors::new();
        change(&json!({"revision": 1}), &old, &mut errors);
        assert_eq!(errors.len(), 1);
    }
}
