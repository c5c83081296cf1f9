//! What a strategic merge leaves of the patch it carries out: that is shown when the outcome is no object.

use serde_json::{Map, Value};

use super::list::{identity, orders};
use super::{Node, PATCH, RETAIN_KEYS};

/// The patch after it was merged into a map.
///
/// Source: apimachinery `strategicpatch.mergeMap`, which takes out of the patch what it has dealt with.
pub(super) fn left_over(
    original: &Map<String, Value>,
    mut patch: Map<String, Value>,
    at: Node<'_>,
) -> Map<String, Value> {
    if let Some(directive) = patch.get(PATCH) {
        // Only a replacement is taken over without its directive. Source: `handleDirectiveInMergeMap`.
        if directive == "replace" {
            patch.remove(PATCH);
        }
        return patch;
    }
    patch.remove(RETAIN_KEYS);
    for directive in orders(&patch) {
        patch.remove(&directive);
        let ordered = directive.split_once('/').map(|(_, name)| name);
        patch.remove(ordered.unwrap_or_default());
    }
    for (key, value) in &mut patch {
        *value = match (original.get(key), value.take()) {
            (Some(Value::Object(old)), Value::Object(new)) => match at.field(key) {
                Ok((at, strategy)) if !strategy.replace => Value::Object(left_over(old, new, at)),
                _ => Value::Object(new),
            },
            (Some(Value::Array(old)), Value::Array(new)) => match at.list(key) {
                Ok((at, strategy)) if strategy.merge => {
                    items_left(old, new, at, strategy.merge_key.as_deref())
                }
                _ => Value::Array(new),
            },
            (_, value) => without_nulls(value),
        };
    }
    patch
}

/// The items of a patch after they were merged into a list.
fn items_left(old: &[Value], new: Vec<Value>, at: Node<'_>, key: Option<&str>) -> Value {
    let left = |item: Value| match item {
        Value::Object(map) => {
            let wanted = identity(&Value::Object(map.clone()), key);
            let same = old.iter().find(|old| identity(old, key) == wanted);
            match same.and_then(Value::as_object) {
                Some(old) if key.is_some() => Value::Object(left_over(old, map, at)),
                _ => Value::Object(map),
            }
        }
        scalar => scalar,
    };
    new.into_iter().map(left).collect()
}

/// A value without members that are null, in maps and in lists.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let members = map.into_iter().filter(|(_, value)| !value.is_null());
            members
                .map(|(name, value)| (name, without_nulls(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        scalar => scalar,
    }
}
