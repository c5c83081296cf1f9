//! Reads the hand-written cases, for the tests of rules and of properties.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};

/// The files of cases.
pub(crate) const FILES: [&str; 6] = [
    "pods.yaml",
    "replicated.yaml",
    "jobs.yaml",
    "custom.yaml",
    "scenarios.yaml",
    "odd.yaml",
];

/// The cases of a file, each with its objects, the subject first.
pub(crate) fn cases(file: &str) -> Vec<(Value, Vec<Value>)> {
    let bases: BTreeMap<_, _> = read("bases.yaml")
        .into_iter()
        .map(|base| {
            (
                base["base"].as_str().unwrap().to_owned(),
                base["object"].clone(),
            )
        })
        .collect();
    let make = |document: Value| {
        let mut objects = vec![whole(&document["subject"], &bases)];
        for related in document["related"].as_array().into_iter().flatten() {
            objects.push(whole(related, &bases));
        }
        (document, objects)
    };
    read(file).into_iter().map(make).collect()
}

fn read(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name);
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut into[key], value);
        }
    }
}

fn whole(object: &Value, bases: &BTreeMap<String, Value>) -> Value {
    let base = object["base"].as_str().unwrap_or("nothing");
    let mut made = bases.get(base).cloned().unwrap();
    let mut patch = object.clone();
    patch.as_object_mut().unwrap().remove("base");
    merge(&mut made, &patch);
    made
}
