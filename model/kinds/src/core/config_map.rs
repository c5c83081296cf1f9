//! ConfigMap.

use meta::{FieldError, Object, Path};

use super::base64_bytes;
use crate::check::{Errors, Node, config_key};
use crate::metadata::invalid;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Most bytes of all values together. Source: `MaxSecretSize`.
pub(super) const DATA_BYTES_MAX: usize = 1 << 20;
const FROZEN: &str = "field is immutable when `immutable` is set";

/// Rules of `v1 ConfigMap`.
pub(crate) struct ConfigMap;

impl Strategy for ConfigMap {
    fn has_generation(&self) -> bool {
        false
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let root = Node::root(new);
        let mut bytes = 0;
        for (key, value) in root.entries("data") {
            errors.extend(invalid(&value.path, key, config_key(key)));
            if root.child("binaryData").has(key) {
                let why = "duplicate of key present in binaryData";
                errors.push(FieldError::invalid(&value.path, key, why));
            }
            bytes += value.value.as_str().map_or(0, str::len);
        }
        for (key, value) in root.entries("binaryData") {
            errors.extend(invalid(&value.path, key, config_key(key)));
            bytes += base64_bytes(value.value);
        }
        if bytes > DATA_BYTES_MAX {
            // Upstream names a field without a name.
            errors.push(FieldError::too_long(&Path::new("[]"), DATA_BYTES_MAX));
        }
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        frozen(new, old, &["data", "binaryData"], &mut errors);
        errors.extend(self.validate(new, cx));
        errors
    }
    print_with!(print::core::CONFIG_MAP);
}

/// Once immutable, always immutable.
pub(super) fn frozen(new: &Object, old: &Object, fields: &[&str], errors: &mut Errors) {
    let (new, old) = (Node::root(new), Node::root(old));
    if !old.flag("immutable") {
        return;
    }
    if !new.flag("immutable") {
        errors.push(FieldError::forbidden(&new.at("immutable"), FROZEN));
    }
    for field in fields {
        let (is, was) = (new.child(field).value, old.child(field).value);
        if is != was {
            errors.push(FieldError::forbidden(&new.at(field), FROZEN));
        }
    }
}
