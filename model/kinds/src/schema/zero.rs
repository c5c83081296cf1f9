//! What Go's encoding writes for a value that was never set.

use serde_json::{Map, Value};

use super::{Presence, StructType, Type, TypeGraph};

/// The encoded zero value of a type.
pub fn zero(graph: &TypeGraph, ty: &Type) -> Value {
    match ty {
        Type::String => Value::String(String::new()),
        Type::Bool => Value::Bool(false),
        Type::Int32 | Type::Int64 | Type::Float64 | Type::IntOrString => Value::from(0),
        Type::Quantity => Value::String("0".into()),
        Type::Duration => Value::String("0s".into()),
        Type::Bytes
        | Type::Time
        | Type::MicroTime
        | Type::Any
        | Type::List(_)
        | Type::Map { .. } => Value::Null,
        Type::Struct(index) => {
            let mut map = Map::new();
            if let Some(item) = graph.types.get(*index) {
                fill(graph, item, &mut map);
            }
            Value::Object(map)
        }
    }
}

/// Adds the fields that Go writes always and that are not there.
pub(super) fn fill(graph: &TypeGraph, item: &StructType, map: &mut Map<String, Value>) {
    for field in &item.fields {
        let value = match field.presence {
            Presence::Always | Presence::AlwaysStruct if !map.contains_key(&field.name) => {
                zero(graph, &field.ty)
            }
            Presence::Nullable if !map.contains_key(&field.name) => Value::Null,
            _ => continue,
        };
        map.insert(field.name.clone(), value);
    }
}

/// Whether `omitempty` drops this decoded value: zero numbers, `false`, empty text, lists and maps. Go never omits
/// structs.
pub(super) fn is_empty(ty: &Type, value: &Value) -> bool {
    match (ty, value) {
        (Type::Struct(_), _) | (_, Value::Bool(true)) => false,
        (_, Value::Null | Value::Bool(false)) => true,
        (_, Value::String(text)) => text.is_empty(),
        (_, Value::Number(number)) => number.as_f64() == Some(0.0),
        (_, Value::Array(items)) => items.is_empty(),
        (_, Value::Object(map)) => map.is_empty(),
    }
}
