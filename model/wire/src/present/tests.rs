//! Every shape of one object, and rows beside those made plainly.

mod rows;

use serde_json::json;

use super::*;

/// A ConfigMap as each shape and policy shows it, in a list of two.
fn shown(shape: Shape, include: IncludeObject) -> Value {
    let kinds = kinds::builtin();
    let row = kinds.kind(&meta::Gvk::new("", "v1", "ConfigMap")).unwrap();
    let strategy = &*row.strategy;
    let presentation = Presentation::new(shape, include, strategy);
    let head = Head {
        api_version: "v1".into(),
        kind: "ConfigMapList".into(),
        revision: 9,
        next: "token".into(),
        remaining: Some(1),
    };
    let mut out = presentation.open_list(&head, &strategy.columns());
    let object = object().to_string();
    for index in 0..2 {
        if index > 0 {
            out.push(b',');
        }
        presentation
            .write_item(
                &mut out,
                object.as_bytes(),
                strategy,
                Timestamp::UNIX_EPOCH,
                &mut Value::Null,
            )
            .unwrap();
    }
    out.extend_from_slice(list::CLOSE);
    serde_json::from_slice(&out).unwrap()
}

fn object() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"},
        "metadata": {"name": "\"quoted\"", "resourceVersion": "7", "managedFields": [{"manager": "m"}]}})
}

#[test]
fn lists_are_of_objects_or_of_their_metadata() {
    let list = shown(Shape::Object, IncludeObject::None);
    let metadata = json!({"resourceVersion": "9", "continue": "token", "remainingItemCount": 1});
    let item = json!({"data": object()["data"], "metadata": object()["metadata"]});
    let wanted = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata,
        "items": [item, item]});
    assert_eq!(list, wanted);
    let list = shown(Shape::Partial("v1".into()), IncludeObject::None);
    let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object()["metadata"]});
    let wanted = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata, "items": [partial, partial]});
    assert_eq!(list, wanted);
}

#[test]
fn rows_carry_what_is_asked_of_their_object() {
    let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1beta1",
        "metadata": object()["metadata"]});
    for (include, wanted) in [
        (IncludeObject::Metadata, partial),
        (IncludeObject::Object, object()),
        (IncludeObject::None, Value::Null),
    ] {
        let table = shown(Shape::Table("v1beta1".into()), include);
        assert_eq!(table["columnDefinitions"][1]["name"], "Data");
        let row = json!({"cells": ["\"quoted\"", 2, "<unknown>"], "object": wanted});
        assert_eq!(table["rows"], json!([row, row]));
    }
}

#[test]
fn a_table_of_one_row_has_its_objects_version_and_columns_only_at_first() {
    let kinds = kinds::builtin();
    let row = kinds.kind(&meta::Gvk::new("", "v1", "ConfigMap")).unwrap();
    let strategy = &*row.strategy;
    let presentation = Presentation::new(Shape::Table("v1".into()), IncludeObject::None, strategy);
    let columns = strategy.columns();
    for columns in [Some(&*columns), None] {
        let (mut out, object) = (Vec::new(), object().to_string());
        presentation
            .write_single(
                &mut out,
                object.as_bytes(),
                strategy,
                columns,
                Timestamp::UNIX_EPOCH,
            )
            .unwrap();
        let table: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(table["metadata"]["resourceVersion"], "7");
        assert_eq!(table["columnDefinitions"].is_null(), columns.is_none());
    }
}
