//! Every object that a stock server created, with the ownership it recorded.

use std::sync::Arc;

use kinds::schema::decode;
use kinds::{Kind, Registry};

use super::*;

const OBJECTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/recordings/objects.jsonl"
);

/// The object as ownership sees it: decoded and defaulted, before admission and the kind's own preparations.
fn defaulted(registry: &Registry, input: &Value) -> (Value, Arc<Kind>) {
    let row = registry.kind(&input.gvk().unwrap()).unwrap();
    let mut object = decode(input.clone(), &row.schema).unwrap().object;
    row.apply_defaults(&mut object);
    for field in ["creationTimestamp", "deletionTimestamp"] {
        object.remove(&["metadata", field]);
    }
    (object, Arc::clone(row))
}

#[test]
fn created_objects_are_owned_as_upstream_recorded() {
    let Ok(text) = std::fs::read_to_string(OBJECTS) else {
        return;
    };
    let registry = kinds::builtin();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["verdict"] != "accepted" {
            continue;
        }
        let (mut new, row) = defaulted(&registry, &record["input"]);
        if row.kind == "CustomResourceDefinition" {
            // Their defaults come from elsewhere, and nothing is filled in later.
            new = record["object"].clone();
            new.remove(MANAGED_FIELDS);
        }
        let api_version = row.api_version();
        let manager = manager("python-requests", &api_version, 0);
        let reset = row.strategy.reset_fields(None);
        update(None, &mut new, &manager, &row.schema, &reset);
        let set = |object| match fields(object, "python-requests") {
            Value::Null => FieldSet::default(),
            fields => FieldSet::from_fields_v1(&fields).unwrap(),
        };
        let (found, expected) = (set(&new), set(&record["object"]));
        let missing = expected.clone().difference(&found).paths();
        let surplus = found.difference(&expected).paths();
        for (what, paths) in [("missing", missing), ("surplus", surplus)] {
            let subject = format!("{what} {} {}", record["id"], row.kind);
            wrong.extend(
                paths
                    .iter()
                    .map(|path| format!("{subject} {}", element::path_text(path))),
            );
        }
        count += 1;
    }
    assert_eq!(count, 802);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn recorded_fields_survive_reading_and_writing() {
    let Ok(text) = std::fs::read_to_string(OBJECTS) else {
        return;
    };
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        for entry in entries_of(&record["object"]) {
            let fields = &entry["fieldsV1"];
            let set = FieldSet::from_fields_v1(fields).unwrap();
            assert_eq!(&set.to_fields_v1(), fields);
        }
    }
}
