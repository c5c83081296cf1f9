//! JSON merge patch, RFC 7386, as upstream's library reads it.

use serde_json::{Map, Value};

/// Applies a merge patch. A patch that is no object replaces the document, which decoding then refuses.
///
/// Nulls delete; unlike in the RFC, nulls are also taken out of objects inside a list that is new.
pub fn merge(current: &Value, patch: &Value) -> Value {
    let mut document = current.clone();
    merge_into(&mut document, patch);
    document
}

fn merge_into(current: &mut Value, patch: &Value) {
    match (current, patch) {
        (Value::Object(current), Value::Object(patch)) => merge_map(current, patch),
        (current @ Value::Object(_), patch) => *current = patch.clone(),
        (current, patch) => *current = pruned(patch),
    }
}

fn merge_map(current: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        if value.is_null() {
            current.remove(key);
            continue;
        }
        match current.get_mut(key) {
            Some(old) => merge_into(old, value),
            None => {
                current.insert(key.clone(), pruned(value));
            }
        }
    }
}

/// The value without null members. Nulls that are list items stay.
fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), pruned(value)))
            .collect(),
        Value::Array(items) => items.iter().map(pruned).collect(),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cases_of_the_rfc() {
        for (current, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
            (json!({"a": "foo"}), json!(["c"]), json!(["c"])),
        ] {
            assert_eq!(merge(&current, &patch), expected, "{current} + {patch}");
        }
    }

    #[test]
    fn new_lists_lose_the_nulls_inside_their_items() {
        let patch = json!({"a": [{"b": null, "c": 1}, null]});
        assert_eq!(merge(&json!({}), &patch), json!({"a": [{"c": 1}, null]}));
    }
}
