//! JSON Patch, RFC 6902, with the liberties that upstream's library takes.
//!
//! Kept by hand, because clients rely on what upstream accepts beyond the RFC: `replace` of a member that is not
//! there, negative indices, operations without a value.

use meta::StatusError;
use meta::status::Details;
use serde_json::Value;

use crate::lazy::Lazy;
use crate::tree::Tree;

/// Most operations one patch may hold. Source: apiserver `handlers/patch.go`, `maxJSONPatchOperations`.
pub const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;

/// Most bytes that the `copy` operations of one patch may add up to. Source: apiserver `JSONPatchMaxCopyBytes`.
const COPY_BYTES_MAX: usize = 3 << 20;

/// Applies a JSON patch.
///
/// # Errors
/// 400 when the bytes are no list of operations, 413 when there are too many, 422 when an operation fails; upstream
/// tells no more about a failing operation.
pub fn json(current: &Value, patch: &[u8]) -> Result<Value, StatusError> {
    let patch: Value = serde_json::from_slice(patch)
        .map_err(|error| StatusError::bad_request(format!("error decoding patch: {error}")))?;
    let operations = match &patch {
        Value::Array(operations) => operations.as_slice(),
        Value::Null => &[],
        other => return Err(not_decodable(other, "[]handlers.jsonPatchOp")),
    };
    // Null is an operation that says nothing, and so does not apply.
    let is_operation = |value: &&Value| value.is_object() || value.is_null();
    if let Some(other) = operations.iter().find(|value| !is_operation(value)) {
        return Err(not_decodable(other, "handlers.jsonPatchOp"));
    }
    if operations.len() > JSON_PATCH_OPERATIONS_MAX {
        return Err(StatusError::too_large(format!(
            "Request entity too large: The allowed maximum operations in a JSON patch is {JSON_PATCH_OPERATIONS_MAX}, got {}",
            operations.len()
        )));
    }
    let mut document = current.clone();
    if perform_all(&mut document, operations, &mut patch.clone()) {
        return Ok(document);
    }
    Err(StatusError::new(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
    )
    .with_details(Details::default()))
}

/// The text that comes of a JSON patch that applies to the text of an object.
pub fn json_text(current: &str, patch: &str) -> String {
    let operations: Vec<Value> = serde_json::from_str(patch).unwrap_or_default();
    let mut document = Lazy::new(current);
    document.is_map();
    perform_all(&mut document, &operations, &mut Lazy::new(patch));
    document.text()
}

fn not_decodable(value: &Value, go_type: &str) -> StatusError {
    let kind = meta::go::json_kind(value);
    StatusError::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {kind} into Go value of type {go_type}"
    ))
}

/// Performs operations, whose values are taken from the patch in its own form; whether all applied.
fn perform_all<T: Tree>(document: &mut T, operations: &[Value], patch: &mut T) -> bool {
    let mut copied_bytes = 0;
    operations.iter().enumerate().all(|(index, operation)| {
        let value = patch
            .item(index)
            .and_then(|operation| operation.pull("value"));
        let value = value.unwrap_or_else(T::null);
        perform(document, operation, value, &mut copied_bytes).is_some()
    })
}

/// Performs one operation; `None` when it does not apply.
fn perform<T: Tree>(
    document: &mut T,
    operation: &Value,
    value: T,
    copied_bytes: &mut usize,
) -> Option<()> {
    let text = |field: &str| operation.get(field).and_then(Value::as_str);
    match text("op")? {
        "add" => add(document, text("path")?, value),
        "remove" => take(document, text("path")?).map(drop),
        "replace" => replace(document, text("path")?, value),
        "move" => {
            let value = take(document, text("from")?)?;
            add(document, text("path")?, value)
        }
        "copy" => {
            let (holder, key) = holder(document, text("from")?)?;
            let value = get(holder, &key)?;
            *copied_bytes += value.bytes();
            if *copied_bytes > COPY_BYTES_MAX {
                return None;
            }
            add(document, text("path")?, value)
        }
        "test" => {
            let path = text("path")?;
            if path.is_empty() {
                return document.equals(&value).then_some(());
            }
            let (holder, key) = holder(document, path)?;
            get(holder, &key)?.equals(&value).then_some(())
        }
        _ => None,
    }
}

/// The map or list that holds the last step of a path, and that step. What stands before the first slash is ignored.
fn holder<'a, T: Tree>(document: &'a mut T, path: &str) -> Option<(&'a mut T, String)> {
    let mut steps = path.split('/').skip(1).map(unescape);
    let mut last = steps.next()?;
    let mut at = document;
    for step in steps {
        at = match at.length() {
            Some(length) => at.item(index(&last, length)?)?,
            None => at.member(&last)?,
        };
        last = step;
    }
    (at.is_map() || at.length().is_some()).then_some((at, last))
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The index that a step means in a list of that length; negative ones count from the end.
fn index(step: &str, length: usize) -> Option<usize> {
    let number: i64 = step.parse().ok()?;
    if number >= 0 {
        return usize::try_from(number).ok();
    }
    length.checked_sub(usize::try_from(number.unsigned_abs()).ok()?)
}

/// The value at a step, `null` where a map has no such member; `None` when the index is wrong.
fn get<T: Tree>(holder: &mut T, step: &str) -> Option<T> {
    match holder.length() {
        Some(length) => holder.item(index(step, length)?).cloned(),
        None => Some(holder.member(step).cloned().unwrap_or_else(T::null)),
    }
}

fn add<T: Tree>(document: &mut T, path: &str, value: T) -> Option<()> {
    let (holder, step) = holder(document, path)?;
    match holder.length() {
        None => holder.put(step, value),
        Some(length) if step == "-" => holder.insert(length, value),
        Some(length) => {
            let index = index(&step, length + 1).filter(|index| *index <= length)?;
            holder.insert(index, value);
        }
    }
    Some(())
}

fn take<T: Tree>(document: &mut T, path: &str) -> Option<T> {
    let (holder, step) = holder(document, path)?;
    match holder.length() {
        None => holder.pull(&step),
        Some(length) => holder.extract(index(&step, length)?),
    }
}

fn replace<T: Tree>(document: &mut T, path: &str, mut value: T) -> Option<()> {
    if path.is_empty() {
        let is_whole = value.is_map() || value.length().is_some();
        return is_whole.then(|| *document = value);
    }
    let (holder, step) = holder(document, path)?;
    match holder.length() {
        None => holder.put(step, value),
        Some(length) => *holder.item(index(&step, length)?)? = value,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_shows_what_was_reached() {
        let object = r#"{"kind":"K","data":{"z":"1","a":"2"},"list":[{"z":1,"a":2}]}"#;
        for (patch, expected) in [
            (
                r#"[{"op": "copy", "from": "/data/z", "path": "/x"}]"#,
                r#"{"data":{"a":"2","z":"1"},"kind":"K","list":[{"z":1,"a":2}],"x":"1"}"#,
            ),
            (
                r#"[{"op": "add", "path": "/list/0/b", "value": {"z": 1, "y": 2}}]"#,
                r#"{"data":{"z":"1","a":"2"},"kind":"K","list":[{"a":2,"b":{"z":1,"y":2},"z":1}]}"#,
            ),
            (
                r#"[{"op": "move", "from": "/list/0", "path": "/x"}]"#,
                r#"{"data":{"z":"1","a":"2"},"kind":"K","list":[],"x":{"z":1,"a":2}}"#,
            ),
        ] {
            assert_eq!(json_text(object, patch), expected, "{patch}");
        }
    }

    fn check(current: &Value, patch: &Value, expected: Option<Value>) {
        let outcome = super::json(current, patch.to_string().as_bytes());
        match (outcome, expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{patch}"),
            (Err(error), None) => assert_eq!((error.code(), error.reason()), (422, "Invalid")),
            (outcome, expected) => panic!("{patch}: {outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn operations_follow_the_rfc() {
        let doc = || json!({"a": {"b": [1, 2, 3]}, "c": "x"});
        for (patch, expected) in [
            (
                json!([{"op": "add", "path": "/a/d", "value": 1}]),
                json!({"a": {"b": [1, 2, 3], "d": 1}, "c": "x"}),
            ),
            (
                json!([{"op": "add", "path": "/a/b/-", "value": 4}]),
                json!({"a": {"b": [1, 2, 3, 4]}, "c": "x"}),
            ),
            (
                json!([{"op": "add", "path": "/a/b/1", "value": 9}]),
                json!({"a": {"b": [1, 9, 2, 3]}, "c": "x"}),
            ),
            (
                json!([{"op": "remove", "path": "/a/b/0"}, {"op": "test", "path": "/a/b/0", "value": 2}]),
                json!({"a": {"b": [2, 3]}, "c": "x"}),
            ),
            (
                json!([{"op": "move", "from": "/c", "path": "/a/c~1d"}]),
                json!({"a": {"b": [1, 2, 3], "c/d": "x"}}),
            ),
            (
                json!([{"op": "copy", "from": "/c", "path": "/d"}]),
                json!({"a": {"b": [1, 2, 3]}, "c": "x", "d": "x"}),
            ),
            (json!([]), doc()),
        ] {
            check(&doc(), &patch, Some(expected));
        }
    }

    #[test]
    fn upstream_accepts_more_than_the_rfc() {
        let doc = || json!({"a": [1, 2]});
        check(
            &doc(),
            &json!([{"op": "replace", "path": "/new", "value": 1}]),
            Some(json!({"a": [1, 2], "new": 1})),
        );
        check(
            &doc(),
            &json!([{"op": "replace", "path": "/a/-1", "value": 9}]),
            Some(json!({"a": [1, 9]})),
        );
        check(
            &doc(),
            &json!([{"op": "add", "path": "/a/-1", "value": 9}]),
            Some(json!({"a": [1, 2, 9]})),
        );
        check(
            &doc(),
            &json!([{"op": "test", "path": "/none"}]),
            Some(doc()),
        );
    }

    #[test]
    fn failing_operations_are_invalid() {
        for patch in [
            json!([{"op": "foo", "path": "/a"}]),
            json!([{"path": "/a"}]),
            json!([{"op": "add", "path": "", "value": {}}]),
            json!([{"op": "remove", "path": "/none"}]),
            json!([{"op": "add", "path": "/a/7", "value": 1}]),
            json!([{"op": "add", "path": "/none/b", "value": 1}]),
            json!([{"op": "replace", "path": "/a/-3", "value": 1}]),
            json!([{"op": "test", "path": "/a", "value": [1]}]),
            json!([{"op": "move", "from": "/none", "path": "/b"}]),
        ] {
            check(&json!({"a": [1, 2]}), &patch, None);
        }
    }

    #[test]
    fn malformed_and_oversized_patches_are_refused() {
        let code = |patch: &[u8]| super::json(&json!({}), patch).unwrap_err().code();
        assert_eq!(code(b"{}"), 400);
        assert_eq!(code(b"[1]"), 400);
        assert_eq!(code(b"[{"), 400);
        let many = vec![json!({"op": "test", "path": "/x"}); JSON_PATCH_OPERATIONS_MAX + 1];
        assert_eq!(code(Value::from(many).to_string().as_bytes()), 413);
        let large = "x".repeat(1 << 20);
        let copies = vec![json!({"op": "copy", "from": "/a", "path": "/b"}); 4];
        let patch = Value::from(copies).to_string();
        let error = super::json(&json!({ "a": large }), patch.as_bytes()).unwrap_err();
        assert_eq!(error.code(), 422);
    }
}
