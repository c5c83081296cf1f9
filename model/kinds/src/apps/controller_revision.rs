//! ControllerRevision.

use meta::{FieldError, Object};
use serde_json::Value;

use crate::check::{Errors, Node};

/// Source: `ValidateControllerRevisionCreate`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    root.not_negative("revision", errors);
    let why = match root.child("data").value {
        Value::Null => "data is mandatory",
        Value::Object(_) => return,
        _ => "data must be a valid JSON object",
    };
    errors.push(FieldError::required(&root.at("data"), why));
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
    fn data_is_an_object() {
        for (data, told) in [
            (json!({}), 0),
            (json!(""), 1),
            (json!([]), 1),
            (json!(null), 1),
        ] {
            let mut errors = Errors::new();
            check(&json!({"data": data, "revision": 1}), &mut errors);
            assert_eq!(errors.len(), told, "{data}");
        }
    }

    #[test]
    fn data_that_goes_is_told_once() {
        let old = json!({"data": {"a": 1}, "revision": 1});
        let mut errors = Errors::new();
        change(&json!({"revision": 1}), &old, &mut errors);
        assert_eq!(errors.len(), 1);
    }
}
