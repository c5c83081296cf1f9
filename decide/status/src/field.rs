//! Reads fields of objects that may be missing, mistyped or absurd. Nothing here can fail: what
//! cannot be read is absent.

use jiff::Timestamp;
use serde_json::Value;

/// Largest magnitude of a number taken from an object; sums of such numbers cannot overflow.
const NUMBER_MAX: i64 = 1 << 40;

/// The value at a dotted path; `null` counts as absent.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    for step in path.split('.') {
        value = value.get(step)?;
    }
    (!value.is_null()).then_some(value)
}

/// The text at a path, or the empty string.
pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// The text at a path if it is there and not empty.
pub(crate) fn some_text<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    Some(text(object, path)).filter(|text| !text.is_empty())
}

/// The whole number at a path, held within bounds that cannot overflow later.
pub(crate) fn int(object: &Value, path: &str) -> Option<i64> {
    let value = at(object, path)?;
    let number = value
        .as_i64()
        .or_else(|| value.as_u64().map(|_| NUMBER_MAX))?;
    Some(number.clamp(-NUMBER_MAX, NUMBER_MAX))
}

/// A count: absent, mistyped and negative are zero.
pub(crate) fn count(object: &Value, path: &str) -> i64 {
    int(object, path).unwrap_or(0).max(0)
}

/// Whether the field is the boolean `true`.
pub(crate) fn is_set(object: &Value, path: &str) -> bool {
    at(object, path).and_then(Value::as_bool) == Some(true)
}

/// The time at a path.
pub(crate) fn time(object: &Value, path: &str) -> Option<Timestamp> {
    text(object, path).parse().ok()
}

/// The list at a path, or an empty one.
pub(crate) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    at(object, path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// A label; label keys contain dots, so they are no paths.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> &'a str {
    keyed(object, "metadata.labels", key)
}

/// An annotation.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> &'a str {
    keyed(object, "metadata.annotations", key)
}

fn keyed<'a>(object: &'a Value, map: &str, key: &str) -> &'a str {
    at(object, map)
        .and_then(|map| map.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "metadata.name")
}

/// `metadata.namespace`.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "metadata.namespace")
}

/// `metadata.uid`.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "metadata.uid")
}

/// The API group of `apiVersion`; the core group is empty.
pub(crate) fn group(object: &Value) -> &str {
    text(object, "apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group)
}

/// The first entry of `status.conditions` with this type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "status.conditions")
        .iter()
        .find(|condition| text(condition, "type") == kind)
}

/// The status of a condition, or the empty string.
pub(crate) fn condition_status<'a>(object: &'a Value, kind: &str) -> &'a str {
    condition(object, kind).map_or("", |condition| text(condition, "status"))
}

/// Whether a condition is `True`.
pub(crate) fn is_true(object: &Value, kind: &str) -> bool {
    condition_status(object, kind) == "True"
}

/// The owner reference marked as controller.
pub(crate) fn controller(object: &Value) -> Option<&Value> {
    list(object, "metadata.ownerReferences")
        .iter()
        .find(|owner| is_set(owner, "controller"))
}

/// The uid of the controlling owner, or the empty string.
pub(crate) fn controller_uid(object: &Value) -> &str {
    controller(object).map_or("", |owner| text(owner, "uid"))
}

/// When the user last wrote the spec (rule G9): the newest managed-fields entry that touches
/// `f:spec` outside the `status` subresource, else the creation time.
pub(crate) fn spec_changed(object: &Value) -> Option<Timestamp> {
    list(object, "metadata.managedFields")
        .iter()
        .filter(|entry| {
            text(entry, "subresource") != "status" && at(entry, "fieldsV1.f:spec").is_some()
        })
        .filter_map(|entry| time(entry, "time"))
        .max()
        .or_else(|| time(object, "metadata.creationTimestamp"))
}

/// When the scale subresource was last written.
pub(crate) fn scaled_at(object: &Value) -> Option<Timestamp> {
    list(object, "metadata.managedFields")
        .iter()
        .filter(|entry| text(entry, "subresource") == "scale")
        .filter_map(|entry| time(entry, "time"))
        .max()
}
