//! Messages of protocol buffers that every expression may name. Those that wrap a value are taken as the value.
//! Source: cel-go `checkedWellKnowns`.

use crate::types::Type;

const PACKAGE: &str = "google.protobuf.";

/// The type that a message stands for, and its fields.
pub(crate) struct Message {
    pub(crate) of: Type,
    pub(crate) fields: Vec<(&'static str, Type)>,
}

/// A message by its full name.
pub(crate) fn message(name: &str) -> Option<Message> {
    let values = || Type::map(Type::String, Type::Dyn);
    let short = name.strip_prefix(PACKAGE)?;
    let time = || vec![("seconds", Type::Int), ("nanos", Type::Int)];
    let (of, fields) = match short {
        "Any" => (
            Type::Any,
            vec![("type_url", Type::String), ("value", Type::Bytes)],
        ),
        "Duration" => (Type::Duration, time()),
        "Timestamp" => (Type::Timestamp, time()),
        "Empty" => (Type::named(name), Vec::new()),
        "ListValue" => (
            Type::list(Type::Dyn),
            vec![("values", Type::list(Type::Dyn))],
        ),
        "Struct" => (values(), vec![("fields", values())]),
        "Value" => (
            Type::Dyn,
            vec![
                ("null_value", Type::Int),
                ("number_value", Type::Double),
                ("string_value", Type::String),
                ("bool_value", Type::Bool),
                ("struct_value", values()),
                ("list_value", Type::list(Type::Dyn)),
            ],
        ),
        _ => {
            let of = wrapped(short)?;
            (of.clone(), vec![("value", of)])
        }
    };
    Some(Message { of, fields })
}

fn wrapped(name: &str) -> Option<Type> {
    Some(match name {
        "BoolValue" => Type::Bool,
        "BytesValue" => Type::Bytes,
        "DoubleValue" | "FloatValue" => Type::Double,
        "Int32Value" | "Int64Value" => Type::Int,
        "StringValue" => Type::String,
        "UInt32Value" | "UInt64Value" => Type::Uint,
        _ => return None,
    })
}

/// A number with a name.
pub(crate) fn constant(name: &str) -> Option<Type> {
    (name == "google.protobuf.NullValue.NULL_VALUE").then_some(Type::Int)
}

/// Whether nothing is known of a type when an expression is made ready to run, though the checker knows it.
pub(crate) fn is_unknown_later(name: &str) -> bool {
    const KNOWN: [&str; 3] = ["Duration", "Timestamp", "Empty"];
    let is_message = name
        .strip_prefix(PACKAGE)
        .is_some_and(|name| !KNOWN.contains(&name));
    is_message || ["duration", "timestamp"].contains(&name)
}
