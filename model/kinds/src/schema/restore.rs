//! How upstream's patches say that their outcome is no object: in the words of its conversion of maps into structs,
//! and with fields in the order of the structs.

use meta::Object;
use meta::go::json_kind;
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
        Type::Time | Type::MicroTime | Type::Duration => unread(value, "string", value.is_string()),
        Type::IntOrString => {
            let is_int = value.as_i64().is_some_and(|int| i32::try_from(int).is_ok());
            unread(value, "int32", value.is_string() || is_int)
        }
        _ => None,
    }
}

/// Cuts numbers down to the integers of the fields they are meant for, as a conversion in Go does: `3.0` is 3.
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
            let wide = whole(value).filter(|wide| value.is_f64() || i32::try_from(*wide).is_err());
            if let Some(wide) = wide {
                let [_, _, _, _, low @ ..] = wide.to_be_bytes();
                *value = i32::from_be_bytes(low).into();
            }
        }
        (Type::Int64 | Type::IntOrString, value) => {
            if let Some(wide) = whole(value).filter(|_| value.is_f64()) {
                *value = wide.into();
            }
        }
        _ => {}
    }
}

/// A number without a fraction as Go makes an integer of it: what is too large becomes the smallest one.
fn whole(value: &Value) -> Option<i64> {
    let Some(float) = value.as_f64().filter(|_| value.is_f64()) else {
        return value.as_i64();
    };
    (float.fract() == 0.0).then(|| format!("{float:.0}").parse().unwrap_or(i64::MIN))
}

/// What a type says that reads its JSON itself, unless the value is good.
fn unread(value: &Value, go_type: &str, is_good: bool) -> Option<String> {
    let kind = match value {
        _ if is_good => return None,
        Value::Null => return None,
        Value::Number(number) if go_type == "int32" => format!("number {number}"),
        other => json_kind(other).to_owned(),
    };
    Some(format!(
        "json: cannot unmarshal {kind} into Go value of type {go_type}"
    ))
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

/// An object as upstream encodes it, with the fields in the order of its structs; what a patch is applied to.
pub fn encoded(schema: &Schema, object: &Object) -> String {
    internal::on_the_wire(&schema.graph, &schema.ty, object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_without_a_fraction_are_integers_where_these_are_wanted() {
        let registry = crate::builtin();
        let kind = registry
            .rows()
            .find(|row| row.kind == "Deployment")
            .unwrap();
        let spec = |replicas: Value, seconds: Value, surge: Value| {
            json!({"spec": {"replicas": replicas, "strategy": {"rollingUpdate": {"maxSurge": surge}},
                "template": {"spec": {"terminationGracePeriodSeconds": seconds}}}})
        };
        let narrowed = |mut value: Value| {
            narrow(&kind.schema, &mut value);
            value
        };
        let whole = narrowed(spec(json!(3.0), json!(1e1), json!(2.0)));
        assert_eq!(whole, spec(json!(3), json!(10), json!(2)));
        let odd = narrowed(spec(json!(2_147_483_648.0), json!(1e30), json!(2.5)));
        assert_eq!(odd, spec(json!(i32::MIN), json!(i64::MIN), json!(2.5)));
    }

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
    fn values_that_read_themselves_complain_alone() {
        let pod = super::super::builtin("io.k8s.api.core.v1.Pod").unwrap();
        let said = |value: Value| problem(&pod, &value).unwrap_or_default();
        assert_eq!(
            said(json!({"metadata": {"creationTimestamp": {}}})),
            "json: cannot unmarshal object into Go value of type string"
        );
        let port = |port: Value| json!({"spec": {"containers": [{"livenessProbe": {"tcpSocket": {"port": port}}}]}});
        assert_eq!(
            said(port(json!([]))),
            "json: cannot unmarshal array into Go value of type int32"
        );
        assert_eq!(
            said(port(json!(2_147_483_648_i64))),
            "json: cannot unmarshal number 2147483648 into Go value of type int32"
        );
        assert_eq!(said(port(json!("x"))), "");
    }

    #[test]
    fn an_object_is_encoded_in_the_order_of_its_structs() {
        let object =
            json!({"metadata": {"annotations": {"b": "c"}, "name": "x"}, "data": {"a": "b"}});
        assert_eq!(
            encoded(&config_map(), &object),
            r#"{"metadata":{"name":"x","annotations":{"b":"c"}},"data":{"a":"b"}}"#
        );
    }
}
