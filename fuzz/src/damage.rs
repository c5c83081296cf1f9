//! Edits of a JSON value that an input directs.

use serde_json::{Value, json};

/// Bytes that one edit takes: two for the place, one for what is done, one for the value.
pub const EDIT_BYTES: usize = 4;
/// Most edits of one input; more would only make it slower.
pub const EDITS_MAX: usize = 16;

/// Carries out the edits that the input names, one after the other.
pub fn damage(value: &mut Value, input: &[u8]) {
    for edit in input.chunks_exact(EDIT_BYTES).take(EDITS_MAX) {
        let [high, low, action, choice] = *edit else {
            return;
        };
        let places = places(value);
        let at = usize::from(u16::from_be_bytes([high, low])) % places.len();
        match action % 4 {
            0 => remove(value, &places[at]),
            1 | 2 => replace(value, &places[at], strange(choice)),
            _ => copy(
                value,
                &places[usize::from(choice) % places.len()],
                &places[at],
            ),
        }
    }
}

/// Every place in a value, as JSON pointers; the first is the value itself.
pub fn places(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut next = 0;
    while next < found.len() {
        let pointer = found[next].clone();
        next += 1;
        match value.pointer(&pointer) {
            Some(Value::Object(map)) => found.extend(map.keys().map(|key| {
                let key = key.replace('~', "~0").replace('/', "~1");
                format!("{pointer}/{key}")
            })),
            Some(Value::Array(items)) => {
                found.extend((0..items.len()).map(|at| format!("{pointer}/{at}")));
            }
            _ => {}
        }
    }
    found
}

/// A value that hardly any field expects.
pub fn strange(choice: u8) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!(0.5),
        json!(""),
        json!("0"),
        json!("-1"),
        json!("\u{0}"),
        json!("\u{feff}\u{10ffff}"),
        json!("9999-12-31T23:59:59Z"),
        json!("0000-01-01T00:00:00Z"),
        json!("2026-02-30T25:61:61Z"),
        json!("100%"),
        json!("99999999999999999999Ei"),
        json!("*/0 * * * *"),
        json!("$patch"),
        json!("x".repeat(300)),
        json!([]),
        json!([null]),
        json!([[]]),
        json!({}),
        json!({"": null}),
        json!({"$patch": "delete"}),
        json!({"$patch": "replace"}),
        json!({"name": "x"}),
        json!(["a", "a"]),
    ];
    values[usize::from(choice) % values.len()].clone()
}

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Ok(at) = key.parse::<usize>() {
                items.remove(at);
            }
        }
        _ => {}
    }
}

fn replace(value: &mut Value, pointer: &str, with: Value) {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = with;
    }
}

/// Puts a copy of what stands at one place to another; into a list, as one item more.
fn copy(value: &mut Value, from: &str, to: &str) {
    let Some(copied) = value.pointer(from).cloned() else {
        return;
    };
    // A copy of the whole inside itself would double the value with every edit.
    if from.is_empty() || to.starts_with(from) {
        return;
    }
    match value.pointer_mut(to) {
        Some(Value::Array(items)) => items.push(copied),
        Some(place) => *place = copied,
        None => {}
    }
}
