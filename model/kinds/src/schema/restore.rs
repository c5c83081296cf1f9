//! How upstream's patches say that their outcome is no object: in the words of its conversion of maps into structs,
//! and with what lies untouched in the order of the structs' fields.

use meta::Object;
use serde_json::Value;

use super::{Field, Schema, Type, TypeGraph, internal};

/// Why a value cannot be put into the type; `None` when it can, or when Go's JSON decoder is what complains.
///
/// Source: apimachinery `runtime.fromUnstructured`.
pub fn problem(schema: &Schema, value: &Value) -> Option<String> {
    find(&schema.graph, &schema.ty, "", value)
}

fn find(graph: &TypeGraph, ty: &Type, go_type: &str, value: &Value) -> Option<String> {
    if value.is_null() {
        return None;
    }
    match ty {
        Type::Struct(index) => match value {
            Value::Object(map) => {
                let mut fields: Vec<&Field> = graph.types.get(*index)?.fields.iter().collect();
                fields.sort_by_key(|field| field.order);
                fields
                    .into_iter()
                    .find_map(|field| find(graph, &field.ty, &field.go_type, map.get(&field.name)?))
            }
            other => Some(format!("cannot restore struct from: {}", sort(other))),
        },
        Type::Map { value: inner, .. } => match value {
            Value::Object(map) => {
                let go_type = go_type.strip_prefix("map[string]").unwrap_or_default();
                map.values()
                    .find_map(|value| find(graph, inner, go_type, value))
            }
            other => Some(format!("cannot restore map from {}", sort(other))),
        },
        Type::List(list) => match value {
            Value::Array(items) => {
                let go_type = go_type.strip_prefix("[]").unwrap_or_default();
                items
                    .iter()
                    .find_map(|value| find(graph, &list.item, go_type, value))
            }
            other => Some(format!("cannot restore slice from {}", sort(other))),
        },
        Type::Bytes if !value.is_string() => {
            Some(format!("cannot restore slice from {}", sort(value)))
        }
        Type::String | Type::Bool | Type::Int32 | Type::Int64 | Type::Float64 => {
            scalar(ty, go_type, value)
        }
        _ => None,
    }
}

/// Cuts numbers down to the 32 bits of the fields they are meant for, as a conversion in Go does.
///
/// Source: apimachinery `runtime.fromUnstructured`, which sets an `int32` from whatever integer it finds.
pub fn narrow(schema: &Schema, value: &mut Value) {
    cut(&schema.graph, &schema.ty, value);
}

fn cut(graph: &TypeGraph, ty: &Type, value: &mut Value) {
    match (ty, value) {
        (Type::Struct(index), Value::Object(map)) => {
            let fields = graph.types.get(*index).map(|ty| ty.fields.as_slice());
            for field in fields.unwrap_or_default() {
                if let Some(value) = map.get_mut(&field.name) {
                    cut(graph, &field.ty, value);
                }
            }
        }
        (Type::Map { value: inner, .. }, Value::Object(map)) => {
            for value in map.values_mut() {
                cut(graph, inner, value);
            }
        }
        (Type::List(list), Value::Array(items)) => {
            for item in items {
                cut(graph, &list.item, item);
            }
        }
        (Type::Int32, value) => {
            let wide = value.as_i64().filter(|wide| i32::try_from(*wide).is_err());
            if let Some(wide) = wide {
                let [_, _, _, _, low @ ..] = wide.to_be_bytes();
                *value = i32::from_be_bytes(low).into();
            }
        }
        _ => {}
    }
}

/// Go's kind of a value.
fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

/// Go converts between numbers, and numbers to text, but JSON does not: the words tell the two apart.
fn scalar(ty: &Type, go_type: &str, value: &Value) -> Option<String> {
    let kind = match ty {
        Type::String => "string",
        Type::Bool => "bool",
        Type::Int32 => "int32",
        Type::Float64 => "float64",
        _ => "int64",
    };
    let go_type = if go_type.is_empty() { kind } else { go_type };
    match (ty, value) {
        (Type::String, Value::String(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Float64, Value::Number(_)) => None,
        (Type::String, Value::Number(number)) if !number.is_f64() => {
            Some(format!("cannot convert int64 to {go_type}"))
        }
        (Type::Int32 | Type::Int64, Value::Number(number)) => {
            let fraction = number.as_f64().map(f64::fract).unwrap_or_default();
            (fraction != 0.0).then(|| format!("cannot convert float64 to {go_type}"))
        }
        _ => Some(format!("unrecognized type: {kind}")),
    }
}

/// The outcome of a patch as JSON: what the patch touched sorted by name, the rest as upstream encodes its structs.
pub fn text(schema: &Schema, old: Option<&Object>, outcome: &Value) -> String {
    let untouched = old.unwrap_or(&Value::Null);
    mixed(schema, untouched, outcome)
}

fn mixed(schema: &Schema, old: &Value, new: &Value) -> String {
    let map = match (new, old) {
        (Value::Object(map), _) => map,
        (Value::Array(items), Value::Array(olds)) => return list(schema, olds, items),
        _ => return internal::on_the_wire(&schema.graph, &schema.ty, new),
    };
    let mut text = String::from("{");
    for (index, (name, value)) in map.iter().enumerate() {
        text.push_str(if index > 0 { "," } else { "" });
        text.push_str(&meta::field::go_json(&name.as_str().into()));
        text.push(':');
        let was = old.get(name);
        text.push_str(&match (schema.field(name), was) {
            (Some(field), Some(was)) if was == value => {
                internal::on_the_wire(&field.graph, &field.ty, value)
            }
            (Some(field), Some(was)) => mixed(&field, was, value),
            _ => meta::field::go_json(value),
        });
    }
    text.push('}');
    text
}

fn list(schema: &Schema, olds: &[Value], items: &[Value]) -> String {
    let item = schema.item();
    let texts: Vec<String> = items
        .iter()
        .enumerate()
        .map(|(index, value)| match (&item, olds.get(index)) {
            (Some(item), Some(was)) if was != value => mixed(item, was, value),
            (Some(item), _) => internal::on_the_wire(&item.graph, &item.ty, value),
            (None, _) => meta::field::go_json(value),
        })
        .collect();
    format!("[{}]", texts.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config_map() -> Schema {
        super::super::builtin("io.k8s.api.core.v1.ConfigMap").unwrap()
    }

    #[test]
    fn problems_are_told_as_conversions() {
        let said = |value: Value| problem(&config_map(), &value);
        assert_eq!(said(json!({"data": {"a": "b"}})), None);
        let cases = [
            (json!({"data": {"a": 5}}), "cannot convert int64 to string"),
            (json!({"data": {"a": true}}), "unrecognized type: string"),
            (json!({"data": [1]}), "cannot restore map from slice"),
            (json!({"metadata": 5}), "cannot restore struct from: int64"),
            (
                json!({"metadata": {"finalizers": "x"}}),
                "cannot restore slice from string",
            ),
        ];
        for (value, words) in cases {
            assert_eq!(said(value).as_deref(), Some(words));
        }
    }

    #[test]
    fn what_a_patch_did_not_touch_is_in_the_order_of_the_struct() {
        let old = json!({"metadata": {"annotations": {"b": "c"}, "name": "x"}, "data": {"a": "b"}});
        let mut new = old.clone();
        new["data"]["a"] = json!(5);
        assert_eq!(
            text(&config_map(), Some(&old), &new),
            r#"{"data":{"a":5},"metadata":{"name":"x","annotations":{"b":"c"}}}"#
        );
    }
}
