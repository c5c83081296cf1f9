//! How upstream prints a struct inside an error: as its internal type, which has no JSON tags.

use serde_json::Value;

use super::{Field, Presence, StructType, Type, TypeGraph};

/// Types that upstream uses internally as they are on the wire.
const SHARED: &str = "io.k8s.apimachinery.";

/// The text of a value of a type; `None` when it would read the same as on the wire.
pub(crate) fn print(graph: &TypeGraph, ty: &Type, value: &Value) -> Option<String> {
    let holds_struct = match ty {
        Type::Struct(index) => !graph.types.get(*index)?.name.starts_with(SHARED),
        Type::List(list) => matches!(list.item, Type::Struct(_)),
        _ => false,
    };
    if !holds_struct || !(value.is_object() || value.is_array()) {
        return None;
    }
    let mut text = String::new();
    write(graph, ty, value, &mut text);
    Some(text)
}

fn write(graph: &TypeGraph, ty: &Type, value: &Value, text: &mut String) {
    match (ty, value) {
        (Type::Struct(index), Value::Object(_)) => match graph.types.get(*index) {
            Some(item) if !item.name.starts_with(SHARED) => structure(graph, item, value, text),
            _ => text.push_str(&value.to_string()),
        },
        (Type::List(list), Value::Array(items)) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(graph, &list.item, item, text);
            }
            text.push(']');
        }
        (Type::Map { value: inner, .. }, Value::Object(map)) => {
            text.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(graph, inner, item, text);
            }
            text.push('}');
        }
        _ => text.push_str(&value.to_string()),
    }
}

fn structure(graph: &TypeGraph, item: &StructType, value: &Value, text: &mut String) {
    let mut fields: Vec<&Field> = item.fields.iter().collect();
    fields.sort_by_key(|field| field.order);
    text.push('{');
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(field.go_name.as_str()).to_string());
        text.push(':');
        match value.get(&field.name) {
            Some(value) if !value.is_null() => write(graph, &field.ty, value, text),
            _ => unset(graph, field, text),
        }
    }
    text.push('}');
}

fn unset(graph: &TypeGraph, field: &Field, text: &mut String) {
    match (field.presence, &field.ty) {
        (Presence::Pointer | Presence::Nullable, _) => text.push_str("null"),
        (_, ty @ Type::Struct(_)) => write(graph, ty, &Value::Object(serde_json::Map::new()), text),
        (_, ty) => text.push_str(&super::zero(graph, ty).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::print;
    use crate::schema::builtin;

    fn printed(name: &str, value: &serde_json::Value) -> Option<String> {
        let schema = builtin(name).unwrap();
        print(&schema.graph, &schema.ty, value)
    }

    #[test]
    fn structs_are_printed_with_all_their_fields_as_declared() {
        let strategy = json!({"type": "Foo", "rollingUpdate": {"maxSurge": "25%"}});
        assert_eq!(
            printed("io.k8s.api.apps.v1.DaemonSetUpdateStrategy", &strategy).unwrap(),
            r#"{"Type":"Foo","RollingUpdate":{"MaxUnavailable":null,"MaxSurge":"25%"}}"#
        );
    }

    #[test]
    fn selectors_read_as_on_the_wire() {
        let selector = json!({"matchLabels": {"a": "b"}});
        let name = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector";
        assert_eq!(printed(name, &selector), None);
    }
}
