//! RuntimeClass.

use meta::{Object, names};

use crate::check::{Errors, Node};

/// Source: `ValidateRuntimeClass`.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    let handler = root.text("handler");
    if handler.is_empty() {
        root.needs("handler", errors);
    } else {
        root.complain("handler", names::dns1123_label(handler), errors);
    }
}

/// The handler of a class stays.
pub(super) fn change(new: &Object, old: &Object, errors: &mut Errors) {
    Node::root(new).immutable(&Node::root(old), "handler", errors);
}
