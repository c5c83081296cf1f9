//! JSON, merge and strategic merge patches of real objects: applied or refused, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sampan_fuzz::{
    damage::{EDIT_BYTES, EDITS_MAX, damage, places, strange},
    samples,
};
use serde_json::{Value, json};

const OPERATIONS: [&str; 6] = ["add", "remove", "replace", "move", "copy", "test"];

fuzz_target!(|input: &[u8]| {
    let Some(((_, schema, object), edits)) = samples::pick(&samples::OBJECTS, input) else {
        return;
    };
    let operations = operations(object, edits);
    let text = serde_json::to_vec(&operations).expect("a value can be written");
    // A refusal is as good an answer as a result.
    let _refused_or_not = patch::json(object, &text);

    let mut change = object.clone();
    damage(&mut change, edits);
    let merged = patch::merge(object, &change);
    assert_eq!(
        patch::merge(&merged, &change),
        merged,
        "a merge patch applies once"
    );
    let _refused_or_not = patch::strategic(object, &change, schema);
    let untouched = patch::strategic(object, &json!({}), schema);
    assert_eq!(
        untouched.ok().as_ref(),
        Some(object),
        "nothing asked, nothing changed"
    );
});

fn operations(object: &Value, edits: &[u8]) -> Value {
    let places = places(object);
    let one = |edit: &[u8]| {
        let [high, low, action, choice] = *edit else {
            return Value::Null;
        };
        let path = &places[usize::from(u16::from_be_bytes([high, low])) % places.len()];
        let from = &places[usize::from(choice) % places.len()];
        let path = if action >= 128 {
            format!("{path}/-")
        } else {
            path.clone()
        };
        json!({
            "op": OPERATIONS[usize::from(action) % OPERATIONS.len()],
            "path": path,
            "from": from,
            "value": strange(choice),
        })
    };
    edits
        .chunks_exact(EDIT_BYTES)
        .take(EDITS_MAX)
        .map(one)
        .collect()
}
