//! Bytes of an object looked into without decoding them: the same parts as decoding finds, and no panic for any bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meta::raw::{self, Fields};
use sampan_fuzz::damage::damage;
use sampan_fuzz::samples;
use serde_json::{Map, Value};

fuzz_target!(|input: &[u8]| {
    let _ = walk(input);
    let fields = Fields::new(&["metadata.name", "spec", "status.conditions.type", "data.*"]);
    let mut read = Value::Null;
    for json in [input, &input[input.len() / 2..], input] {
        let found = fields.decode_beside(json, "metadata", &mut read);
        let decoded = fields.decode(json);
        if found.is_some() {
            assert_eq!(decoded.as_ref(), Some(&read), "nothing is left of what was read before");
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(input) {
        compare(&value, input);
    }
    if let Some(((_, _, object), edits)) = samples::pick(&samples::OBJECTS, input) {
        let mut value = object.clone();
        damage(&mut value, edits);
        compare(&value, value.to_string().as_bytes());
        compare(&value, format!("{value:#}").as_bytes());
    }
});

/// Goes to every part there is.
fn walk(json: &[u8]) -> usize {
    let members = raw::members(json).map(|(_, value)| walk(value));
    let items = raw::items(json).map(walk);
    1 + members.sum::<usize>() + items.sum::<usize>()
}

fn compare(value: &Value, json: &[u8]) {
    match value {
        Value::Object(object) => {
            let mut found = Map::new();
            for (key, json) in raw::members(json) {
                let key = raw::name(key).expect("a key of JSON").into_owned();
                let value = serde_json::from_slice(json).expect("a member is JSON");
                // Of a key that stands twice the last value holds, as it does for who decodes.
                found.insert(key, value);
            }
            assert_eq!(found, *object);
            let twice = raw::members(json).count() > object.len();
            for (key, value) in object.iter().filter(|_| !twice) {
                let json = raw::at(json, &[key]);
                // A key with escapes is not looked for.
                if let Some(json) = json {
                    compare(value, json);
                }
            }
        }
        Value::Array(list) => {
            let items: Vec<&[u8]> = raw::items(json).collect();
            assert_eq!(items.len(), list.len());
            for (value, json) in list.iter().zip(items) {
                compare(value, json);
            }
        }
        Value::String(text) => assert_eq!(raw::text(json.trim_ascii()).as_deref(), Some(text.as_str())),
        _ => {}
    }
}
