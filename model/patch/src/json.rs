//! JSON Patch, RFC 6902, with the liberties that upstream's library takes.
//!
//! Kept by hand, because clients rely on what upstream accepts beyond the RFC: `replace` of a member that is not
//! there, negative indices, operations without a value.

use meta::StatusError;
use meta::status::Details;
use serde_json::Value;

use crate::go;

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
    let mut copied_bytes = 0;
    for operation in operations {
        if perform(&mut document, operation, &mut copied_bytes).is_none() {
            return Err(StatusError::new(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
            .with_details(Details::default()));
        }
    }
    Ok(document)
}

fn not_decodable(value: &Value, go_type: &str) -> StatusError {
    let kind = go::json_kind(value);
    StatusError::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {kind} into Go value of type {go_type}"
    ))
}

/// Performs one operation; `None` when it does not apply.
fn perform(document: &mut Value, operation: &Value, copied_bytes: &mut usize) -> Option<()> {
    let text = |field: &str| operation.get(field).and_then(Value::as_str);
    let value = || operation.get("value").cloned().unwrap_or_default();
    match text("op")? {
        "add" => add(document, text("path")?, value()),
        "remove" => take(document, text("path")?).map(drop),
        "replace" => replace(document, text("path")?, value()),
        "move" => {
            let value = take(document, text("from")?)?;
            add(document, text("path")?, value)
        }
        "copy" => {
            let (holder, key) = holder(document, text("from")?)?;
            let value = get(holder, &key)?.clone();
            *copied_bytes += value.to_string().len();
            if *copied_bytes > COPY_BYTES_MAX {
                return None;
            }
            add(document, text("path")?, value)
        }
        "test" => {
            let (path, expected) = (text("path")?, value());
            if path.is_empty() {
                return (*document == expected).then_some(());
            }
            let (holder, key) = holder(document, path)?;
            let found = get(holder, &key)?;
            (*found == expected).then_some(())
        }
        _ => None,
    }
}

/// The map or list that holds the last step of a path, and that step. What stands before the first slash is ignored.
fn holder<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let mut steps = path.split('/').skip(1).map(unescape);
    let mut last = steps.next()?;
    let mut at = document;
    for step in steps {
        at = match at {
            Value::Object(map) => map.get_mut(&last)?,
            Value::Array(items) => {
                let index = index(&last, items.len())?;
                items.get_mut(index)?
            }
            _ => return None,
        };
        last = step;
    }
    (at.is_object() || at.is_array()).then_some((at, last))
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
fn get<'a>(holder: &'a Value, step: &str) -> Option<&'a Value> {
    match holder {
        Value::Object(map) => Some(map.get(step).unwrap_or(&Value::Null)),
        Value::Array(items) => items.get(index(step, items.len())?),
        _ => None,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Option<()> {
    let (holder, step) = holder(document, path)?;
    match holder {
        Value::Object(map) => {
            map.insert(step, value);
        }
        Value::Array(items) if step == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&step, items.len() + 1)?;
            if index > items.len() {
                return None;
            }
            items.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn take(document: &mut Value, path: &str) -> Option<Value> {
    let (holder, step) = holder(document, path)?;
    match holder {
        Value::Object(map) => map.remove(&step),
        Value::Array(items) => {
            let index = index(&step, items.len())?;
            (index < items.len()).then(|| items.remove(index))
        }
        _ => None,
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return None;
        }
        *document = value;
        return Some(());
    }
    let (holder, step) = holder(document, path)?;
    match holder {
        Value::Object(map) => {
            map.insert(step, value);
        }
        Value::Array(items) => {
            let index = index(&step, items.len())?;
            *items.get_mut(index)? = value;
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
