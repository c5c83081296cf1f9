//! Rows of a Table, made from an object's bytes in one pass, beside rows made from the whole object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kinds::Cell;
use meta::{Gvk, Object, ObjectExt as _};
use serde_json::{Value, json};

use crate::media::Shape;
use crate::present::Presentation;
use crate::table::IncludeObject;

/// What a stock server answered to real manifests.
fn recorded() -> Vec<Object> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/recordings/objects.jsonl"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let objects = lines.map(|line| line.unwrap()["object"].take());
    objects.filter(Value::is_object).collect()
}

/// The row as it is made without looking into bytes.
fn plain(cells: &[Cell<'_>], object: &Object, include: IncludeObject) -> String {
    let object = match include {
        IncludeObject::Metadata => {
            let metadata = object["metadata"].to_string();
            format!(
                r#"{{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{metadata}}}"#
            )
        }
        IncludeObject::Object => object.to_string(),
        IncludeObject::None => "null".into(),
    };
    let cells: Value = cells.iter().cloned().collect();
    format!(r#"{{"cells":{cells},"object":{object}}}"#)
}

/// `read` holds what was read of the object before.
fn check(object: &Object, read: &mut Object) {
    let registry = kinds::builtin();
    let (group, version) = meta::id::split_api_version(object.api_version()).unwrap();
    let Some(row) = registry.kind(&Gvk::new(group, version, object.kind())) else {
        return;
    };
    let (strategy, now) = (
        &*row.strategy,
        Timestamp::from_second(2_000_000_000).unwrap(),
    );
    let bytes = object.to_string();
    let cells = strategy.cells(object, now);
    for include in [
        IncludeObject::Metadata,
        IncludeObject::Object,
        IncludeObject::None,
    ] {
        let presentation = Presentation::new(Shape::Table("v1".into()), include, strategy);
        let mut shown = Vec::new();
        presentation
            .write_item(&mut shown, bytes.as_bytes(), strategy, now, read)
            .unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown, plain(&cells, object, include));
    }
}

#[test]
fn rows_of_recorded_objects_are_those_of_the_whole_object() {
    let objects = recorded();
    assert!(objects.len() > 800);
    let mut read: BTreeMap<(&str, &str), Object> = BTreeMap::new();
    for object in &objects {
        check(
            object,
            read.entry((object.api_version(), object.kind()))
                .or_default(),
        );
    }
}

#[test]
fn no_text_in_an_object_leads_its_row_astray() {
    let texts = [
        r#"{"metadata":{"name":"other"}}"#,
        r#"\"}]}"#,
        r#"","metadata":{"#,
        "\\",
        "\\\\\"",
        "\u{e9}\u{1f6a2}\n\t\u{0}",
        "{[{[{[",
        "}]}]}]",
    ];
    let mut read = Value::Null;
    for text in texts {
        // Every place within a block of bytes that is looked at at once.
        for padding in 0..70 {
            let padding = "p".repeat(padding);
            check(
                &json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"annotations": {&padding: text, text: "x"}, "name": text,
                    "managedFields": [{"fieldsV1": {text: {".": {}, &padding: {}}}}]},
                "spec": {"containers": [{"args": [text, &padding], "name": text}, {}], "nodeName": text},
                "status": {"phase": text, "podIPs": [{"ip": text}]}}),
                &mut read,
            );
        }
    }
}
