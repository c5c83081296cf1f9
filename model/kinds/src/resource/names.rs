//! Names that claims and slices share.

use meta::{FieldError, names};

use crate::check::{Errors, Node};

/// Longest name of a pool, in bytes. Source: `PoolNameMaxLength`.
const POOL_BYTES_MAX: usize = 253;
/// Longest name behind a domain, in bytes. Source: `DeviceMaxIDLength`.
const ID_BYTES_MAX: usize = 32;
/// Longest name of a driver, in bytes. Source: `DriverNameMaxLength`.
const DRIVER_BYTES_MAX: usize = 63;

/// A label of DNS.
pub(super) fn label(node: &Node<'_>, field: &str, errors: &mut Errors) {
    node.complain(field, names::dns1123_label(node.text(field)), errors);
}

/// Source: `validatePoolName`.
pub(super) fn pool(node: &Node<'_>, field: &str, errors: &mut Errors) {
    let (name, path) = (node.text(field), node.at(field));
    if name.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    if name.len() > POOL_BYTES_MAX {
        errors.push(FieldError::too_long(&path, POOL_BYTES_MAX));
    }
    for part in name.split('/') {
        let complaints = names::dns1123_subdomain(part);
        errors.extend(
            complaints
                .into_iter()
                .map(|why| FieldError::invalid(&path, part, why)),
        );
    }
}

/// An identifier of C, at a path.
fn identifier(name: &str, path: &meta::Path, errors: &mut Errors) {
    if name.len() > ID_BYTES_MAX {
        errors.push(FieldError::too_long(path, ID_BYTES_MAX));
    }
    let mut chars = name.chars();
    let starts = chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        // Source: apimachinery `validate/content.IsCIdentifier`.
        let why = names::regex_error(
            "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
            "[A-Za-z_][A-Za-z0-9_]*",
            &["my_name", "MY_NAME", "MyName"],
        );
        errors.push(FieldError::invalid(path, name, why));
    }
}

/// Source: `validateQualifiedName`, which says nothing of more than one slash.
pub(super) fn qualified(name: &str, path: &meta::Path, errors: &mut Errors) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [id] => identifier(id, path, errors),
        [domain, id] => {
            if domain.is_empty() {
                errors.push(FieldError::invalid(
                    path,
                    "",
                    "the domain must not be empty",
                ));
            } else {
                driver_at(domain, path, errors);
            }
            if id.is_empty() {
                errors.push(FieldError::invalid(path, "", "the name must not be empty"));
            } else {
                identifier(id, path, errors);
            }
        }
        _ => {}
    }
}

/// Source: `ValidateCSIDriverName`, at a path.
fn driver_at(name: &str, path: &meta::Path, errors: &mut Errors) {
    if name.len() > DRIVER_BYTES_MAX {
        errors.push(FieldError::too_long(path, DRIVER_BYTES_MAX));
    }
    let complaints = names::dns1123_subdomain(&name.to_lowercase()).into_iter();
    errors.extend(complaints.map(|why| FieldError::invalid(path, name, why)));
}

/// Source: `validateFullyQualifiedName`.
pub(super) fn fully_qualified(node: &Node<'_>, field: &str, errors: &mut Errors) {
    let (name, path) = (node.text(field), node.at(field));
    qualified(name, &path, errors);
    if !name.contains('/') {
        let why = "a fully qualified name must be a domain and a name separated by a slash";
        errors.push(FieldError::invalid(&path, name, why));
    }
}

/// Whether a list is not too long; when it is, that is all there is to say of it. Source: `validateSlice`.
pub(super) fn fits(node: &Node<'_>, field: &str, max: usize, errors: &mut Errors) -> bool {
    let count = node.items(field).len();
    if count > max {
        errors.push(FieldError::too_many(&node.at(field), count, max));
    }
    count <= max
}

/// What of a list stands there twice, by what `key` makes of an item. Source: `validateSet`.
pub(super) fn unique(
    node: &Node<'_>,
    field: &str,
    key: impl Fn(&Node<'_>) -> serde_json::Value,
    errors: &mut Errors,
) {
    let mut seen = Vec::new();
    for item in node.items(field) {
        let key = key(&item);
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(&item.path, key));
        } else {
            seen.push(key);
        }
    }
}

/// The name of an item, as a key.
pub(super) fn name_of(item: &Node<'_>) -> serde_json::Value {
    item.text("name").into()
}

/// The item itself, as a key.
pub(super) fn itself(item: &Node<'_>) -> serde_json::Value {
    item.value.clone()
}
