//! JSON merge patch, RFC 7386, as upstream's library reads it.

use serde_json::Value;

use crate::lazy::Lazy;
use crate::tree::Tree;

/// Applies a merge patch. A patch that is no object replaces the document, which decoding then refuses.
///
/// Nulls delete; unlike in the RFC, nulls are also taken out of objects inside a list that is new.
pub fn merge(current: &Value, patch: &Value) -> Value {
    let mut document = current.clone();
    merge_into(&mut document, patch.clone());
    document
}

/// The text that comes of a merge patch to the text of an object.
pub fn merge_text(current: &str, patch: &str) -> String {
    let mut document = Lazy::new(current);
    merge_into(&mut document, Lazy::new(patch));
    document.text()
}

fn merge_into<T: Tree>(current: &mut T, mut patch: T) {
    if !current.is_map() {
        *current = pruned(patch);
    } else if patch.is_map() {
        for (name, value) in patch.pull_all() {
            if value.is_null() {
                current.pull(&name);
                continue;
            }
            match current.member(&name) {
                Some(old) => merge_into(old, value),
                None => current.put(name, pruned(value)),
            }
        }
    } else {
        *current = patch;
    }
}

/// The value without null members. Nulls that are list items stay.
fn pruned<T: Tree>(mut value: T) -> T {
    if value.is_map() {
        let members = value.pull_all().into_iter();
        let kept = members.filter(|(_, value)| !value.is_null());
        return T::put_all(kept.map(|(name, value)| (name, pruned(value))).collect());
    }
    for index in 0..value.length().unwrap_or_default() {
        if let Some(item) = value.item(index) {
            let bare = pruned(std::mem::replace(item, T::null()));
            *item = bare;
        }
    }
    value
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

    #[test]
    fn the_text_shows_what_was_merged() {
        let object = r#"{"kind":"K","data":{"z":"1","a":"2"},"list":[{"z":1,"a":2}]}"#;
        for (patch, expected) in [
            (
                r#"{"list": [{"z": {"y": 1, "x": null}, "a": 1}]}"#,
                r#"{"data":{"z":"1","a":"2"},"kind":"K","list":[{"a":1,"z":{"y":1}}]}"#,
            ),
            (
                r#"{"data": [{"z": 1, "a": 1}]}"#,
                r#"{"data":[{"z":1,"a":1}],"kind":"K","list":[{"z":1,"a":2}]}"#,
            ),
            (
                r#"{"data": {"z": "\u00e9"}}"#,
                r#"{"data":{"a":"2","z":"\u00e9"},"kind":"K","list":[{"z":1,"a":2}]}"#,
            ),
        ] {
            assert_eq!(merge_text(object, patch), expected, "{patch}");
        }
    }
}
