//! How upstream prints a struct inside an error: as its internal type, whose JSON has Go's names of the fields.

mod order;
mod owned;

use serde_json::{Map, Value};

use super::{Field, Presence, StructType, Type, TypeGraph};

/// Types that upstream uses internally as they are on the wire.
const SHARED: &str = "io.k8s.apimachinery.";

/// The text of a value of a type; `None` for what is no struct, nor holds one.
pub(crate) fn print(graph: &TypeGraph, ty: &Type, value: &Value) -> Option<String> {
    let holds_struct = match ty {
        Type::Struct(_) => true,
        Type::List(list) => matches!(list.item, Type::Struct(_)),
        _ => false,
    };
    if !holds_struct || !(value.is_object() || value.is_array()) {
        return None;
    }
    let mut text = String::new();
    shape(graph, ty, value, Names::Internal).compact(&mut text);
    Some(text)
}

/// The text of a struct of a built-in type, by its OpenAPI name.
pub(crate) fn named(type_name: &str, value: &Value) -> Option<String> {
    let schema = super::builtin(type_name)?;
    print(&schema.graph, &schema.ty, value)
}

/// The text of a struct, a line for each value, as `json.MarshalIndent` writes it; of the fields that `wanted` picks.
pub(crate) fn indented(
    graph: &TypeGraph,
    ty: &Type,
    value: &Value,
    wanted: impl Fn(&Field) -> bool,
) -> String {
    let shape = match ty {
        Type::Struct(index) => match graph.types.get(*index) {
            Some(item) => structure(graph, item, value, &wanted),
            None => Shape::Text("null".into()),
        },
        ty => shape(graph, ty, value, Names::Internal),
    };
    let mut text = String::new();
    shape.indented(0, &mut text);
    text
}

/// The text of a value in the names on the wire, with the fields in the order of their structs.
pub(crate) fn on_the_wire(graph: &TypeGraph, ty: &Type, value: &Value) -> String {
    let mut text = String::new();
    shape(graph, ty, value, Names::Wire).compact(&mut text);
    text
}

/// JSON whose maps keep their order.
enum Shape {
    Text(String),
    Map(Vec<(String, Shape)>),
    List(Vec<Shape>),
}

impl Shape {
    fn compact(&self, text: &mut String) {
        match self {
            Self::Text(value) => text.push_str(value),
            Self::Map(entries) => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    text.push_str(&json(&key.as_str().into()));
                    text.push(':');
                    value.compact(text);
                }
                text.push('}');
            }
            Self::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    item.compact(text);
                }
                text.push(']');
            }
        }
    }

    fn indented(&self, depth: usize, text: &mut String) {
        let line = |text: &mut String, depth: usize| {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', depth));
        };
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                text.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    line(text, depth + 1);
                    text.push_str(&json(&key.as_str().into()));
                    text.push_str(": ");
                    value.indented(depth + 1, text);
                }
                line(text, depth);
                text.push('}');
            }
            Self::List(items) if !items.is_empty() => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    line(text, depth + 1);
                    item.indented(depth + 1, text);
                }
                line(text, depth);
                text.push(']');
            }
            _ => self.compact(text),
        }
    }
}

fn json(value: &Value) -> String {
    meta::field::go_json(value)
}

/// Whose names the fields of structs have.
#[derive(Clone, Copy)]
enum Names {
    /// Go's, as declared internally.
    Internal,
    /// Those on the wire.
    Wire,
}

fn shape(graph: &TypeGraph, ty: &Type, value: &Value, names: Names) -> Shape {
    match (ty, value) {
        (Type::Struct(index), Value::Object(map)) => match (graph.types.get(*index), names) {
            (Some(item), Names::Internal) => structure(graph, item, value, &|_| true),
            (Some(item), Names::Wire) => on_wire(graph, item, map),
            (None, _) => plain(value),
        },
        (Type::List(list), Value::Array(items)) => Shape::List(
            items
                .iter()
                .map(|item| shape(graph, &list.item, item, names))
                .collect(),
        ),
        (Type::Map { value: inner, .. }, Value::Object(map)) => Shape::Map(
            map.iter()
                .map(|(key, item)| (key.clone(), shape(graph, inner, item, names)))
                .collect(),
        ),
        _ => plain(value),
    }
}

/// A struct in the names on the wire, its fields as declared; what has no field is not shown.
fn on_wire(graph: &TypeGraph, item: &StructType, map: &Map<String, Value>) -> Shape {
    let mut fields: Vec<&Field> = item.fields.iter().collect();
    fields.sort_by_key(|field| field.order);
    let held = fields.into_iter().filter_map(|field| {
        let value = map.get(&field.name)?;
        let shown = if field.name == "fieldsV1" {
            owned::shape(value)
        } else {
            shape(graph, &field.ty, value, Names::Wire)
        };
        Some((field.name.clone(), shown))
    });
    Shape::Map(held.collect())
}

/// A value whose type nobody knows.
fn plain(value: &Value) -> Shape {
    match value {
        Value::Object(map) => Shape::Map(
            map.iter()
                .map(|(key, item)| (key.clone(), plain(item)))
                .collect(),
        ),
        Value::Array(items) => Shape::List(items.iter().map(plain).collect()),
        other => Shape::Text(json(other)),
    }
}

fn structure(
    graph: &TypeGraph,
    item: &StructType,
    value: &Value,
    wanted: &dyn Fn(&Field) -> bool,
) -> Shape {
    let value = order::moved(item, value);
    let is_shared = item.name.starts_with(SHARED);
    let mut entries = Vec::new();
    for field in order::fields(graph, item) {
        if !wanted(field) {
            continue;
        }
        let held = value.get(&field.name).filter(|held| !held.is_null());
        let shown = match held {
            // Its own encoding leaves out what is empty.
            Some(held) if is_shared && is_omitted(field, held) => continue,
            Some(held) => shape(graph, &field.ty, held, Names::Internal),
            None if is_shared => continue,
            None => unset(graph, field),
        };
        match (is_shared, field.go_name.as_str(), shown) {
            (true, _, shown) => entries.push((field.name.clone(), shown)),
            // An embedded struct without a name of its own.
            (false, "", Shape::Map(inner)) => entries.extend(inner),
            (false, "", _) => {}
            (false, name, shown) => entries.push((name.to_owned(), shown)),
        }
    }
    Shape::Map(entries)
}

fn is_omitted(field: &Field, held: &Value) -> bool {
    field.presence == Presence::OmitEmpty && super::zero::is_empty(&field.ty, held)
}

fn unset(graph: &TypeGraph, field: &Field) -> Shape {
    match (field.presence, &field.ty) {
        (Presence::Pointer | Presence::Nullable, _) => Shape::Text("null".into()),
        (_, ty @ Type::Struct(_)) => shape(graph, ty, &Value::Object(Map::new()), Names::Internal),
        (_, ty) => plain(&super::zero(graph, ty)),
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
    fn shared_types_have_their_names_on_the_wire_in_the_order_of_their_fields() {
        let selector = json!({"matchExpressions": [{"key": "a<b", "operator": "Exists", "values": []}], "matchLabels": {"a": "b"}});
        let name = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector";
        assert_eq!(
            printed(name, &selector).unwrap(),
            r#"{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"a\u003cb","operator":"Exists"}]}"#
        );
    }

    #[test]
    fn what_is_elsewhere_internally_is_printed_there() {
        let spec = json!({"hostNetwork": true, "serviceAccount": "x"});
        let text = printed("io.k8s.api.core.v1.PodSpec", &spec).unwrap();
        assert!(
            text.contains(r#""SecurityContext":{"HostNetwork":true,"HostPID":false"#),
            "{text}"
        );
        assert!(!text.contains("DeprecatedServiceAccount"), "{text}");
    }

    #[test]
    fn metadata_is_spliced_in() {
        let template = json!({"metadata": {"labels": {"a": "b"}, "name": "x"}, "template": {}});
        let text = printed("io.k8s.api.core.v1.PodTemplate", &template).unwrap();
        assert!(
            text.starts_with(r#"{"name":"x","labels":{"a":"b"},"Template":{"Spec":{"#),
            "{text}"
        );
    }
}
