//! Brings a JSON value into the form that Go's decoding and encoding of the type would give it.
//!
//! Unknown fields are dropped and reported, zero values dropped or added as the Go tags say, quantities and times
//! brought into canonical spelling. Mistyped values are refused in the words of Go's `encoding/json`. Field names
//! are compared case-sensitively, as the API server does. Duplicate keys are found by the JSON reader.

use serde_json::{Map, Value};

use super::emptied::Emptied;
use super::scalar;
use super::zero::{fill, is_empty, zero};
use super::{Field, Presence, Schema, StructType, Type, TypeGraph};

/// Most complaints about unknown fields that one object gets. Source: sigs.k8s.io/json.
const UNKNOWN_FIELDS_MAX: usize = 100;

/// The list that is refused when it is empty, and has a default when it is not there: the policies of an autoscaler.
const TOLD_EMPTY: &str = "policies";

/// An object in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object.
    pub object: Value,
    /// What strict decoding complains about: `unknown field "spec.bogus"`.
    pub unknown: Vec<String>,
    /// Empty lists and maps that were sent; only where no field is dropped for its feature.
    pub emptied: Vec<Emptied>,
}

/// The value does not fit the type; displays as Go says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError(pub String);

impl std::error::Error for DecodeError {}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decodes a value by its schema.
///
/// # Errors
/// A value has the wrong type, or a quantity or time is malformed.
pub fn decode(value: Value, schema: &Schema) -> Result<Decoded, DecodeError> {
    walk(value, schema, false, true)
}

/// Decodes a value by its schema as a conversion into Go's structs does, whose complaints name no keys of maps.
///
/// # Errors
/// As [`decode`].
pub fn decode_converted(value: Value, schema: &Schema) -> Result<Decoded, DecodeError> {
    walk(value, schema, false, false)
}

/// Decodes a value by its schema and drops the fields of features that are off.
///
/// # Errors
/// As [`decode`].
pub fn decode_enabled(value: Value, schema: &Schema) -> Result<Decoded, DecodeError> {
    walk(value, schema, true, true)
}

fn walk(
    mut value: Value,
    schema: &Schema,
    drops_disabled: bool,
    names_keys: bool,
) -> Result<Decoded, DecodeError> {
    let mut walk = Walk {
        graph: &schema.graph,
        drops_disabled,
        names_keys,
        unknown: Vec::new(),
        emptied: Vec::new(),
        first_error: None,
        path: Vec::new(),
        owner: None,
    };
    let go_type = match schema.as_struct() {
        Some(item) => item.go_name.as_str(),
        None => "",
    };
    walk.value(&schema.ty, go_type, &mut value)?;
    match walk.first_error {
        Some(error) => Err(error),
        None => Ok(Decoded {
            object: value,
            unknown: walk.unknown,
            emptied: walk.emptied,
        }),
    }
}

/// A step from the root to the value at hand.
pub(super) enum Step<'a> {
    Field(&'a Field),
    Index(usize),
    Key(String),
}

struct Walk<'a> {
    graph: &'a TypeGraph,
    drops_disabled: bool,
    /// Whether complaints name the keys of maps on the way.
    names_keys: bool,
    unknown: Vec<String>,
    emptied: Vec<Emptied>,
    /// Type errors do not stop Go's decoder; the first one is returned at the end.
    first_error: Option<DecodeError>,
    path: Vec<Step<'a>>,
    /// The struct whose field is being read.
    owner: Option<&'a str>,
}

impl<'a> Walk<'a> {
    /// Canonicalises a value that is not null. Errors returned at once are those of custom decoders.
    fn value(
        &mut self,
        ty: &'a Type,
        go_type: &'a str,
        value: &mut Value,
    ) -> Result<(), DecodeError> {
        match ty {
            Type::Any => Ok(()),
            Type::Struct(index) => match self.graph.types.get(*index) {
                Some(item) => self.structure(item, value),
                None => Ok(()),
            },
            Type::List(list) => {
                let Value::Array(items) = value else {
                    self.mismatch(ty, go_type, value);
                    return Ok(());
                };
                let item_type = go_type
                    .strip_prefix("[]")
                    .unwrap_or_else(|| go_name(self.graph, &list.item));
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(Step::Index(index));
                    self.element(&list.item, item_type, item)?;
                    self.path.pop();
                }
                Ok(())
            }
            Type::Map { value: inner, .. } => {
                let Value::Object(map) = value else {
                    self.mismatch(ty, go_type, value);
                    return Ok(());
                };
                let inner_type = match go_type.split_once(']') {
                    Some((_, rest)) if go_type.starts_with("map[") => rest,
                    _ => go_name(self.graph, inner),
                };
                for (key, item) in map.iter_mut() {
                    self.path.push(Step::Key(key.clone()));
                    self.element(inner, inner_type, item)?;
                    self.path.pop();
                }
                Ok(())
            }
            _ => self.scalar(ty, go_type, value),
        }
    }

    /// An item of a list or map; null stands for the zero value.
    fn element(
        &mut self,
        ty: &'a Type,
        go_type: &'a str,
        item: &mut Value,
    ) -> Result<(), DecodeError> {
        if !item.is_null() {
            return self.value(ty, go_type, item);
        }
        if matches!(ty, Type::Bytes) {
            *item = "".into();
        } else if !go_type.starts_with('*') {
            *item = zero(self.graph, ty);
        }
        Ok(())
    }

    fn structure(&mut self, item: &'a StructType, value: &mut Value) -> Result<(), DecodeError> {
        let Value::Object(map) = value else {
            self.mismatch(&Type::Any, &item.go_name, value);
            return Ok(());
        };
        let outer = self.owner;
        let mut dropped = Vec::new();
        for (name, value) in map.iter_mut() {
            let Some(field) = item.field(name) else {
                self.unknown(name);
                dropped.push(name.clone());
                continue;
            };
            if value.is_null() || (field.disabled && self.drops_disabled) {
                dropped.push(name.clone());
                continue;
            }
            let had_signal = self.drops_disabled && value.get("stopSignal").is_some();
            self.owner = item.go_name.rsplit('.').next();
            self.path.push(Step::Field(field));
            self.value(&field.ty, &field.go_type, value)?;
            self.path.pop();
            // Source: `pod.dropContainerStopSignals`, which drops what is empty without the signal.
            let is_bare = had_signal && value.as_object().is_some_and(Map::is_empty);
            if is_bare || is_left_out(field, value) {
                dropped.push(name.clone());
            }
            let is_listed = matches!(field.presence, Presence::Always | Presence::OmitEmpty);
            if is_listed && is_empty_composite(value) {
                let is_told = matches!(field.ty, Type::List(_) | Type::Map { .. });
                if is_told && !self.drops_disabled {
                    self.emptied.push(Emptied::new(&self.path, name, value));
                } else if self.drops_disabled && field.presence == Presence::Always {
                    // Upstream stores protobuf, which knows no empty lists and maps.
                    *value = zero(self.graph, &field.ty);
                }
            }
        }
        self.owner = outer;
        for name in dropped {
            map.remove(&name);
        }
        fill(self.graph, item, map);
        Ok(())
    }

    fn scalar(&mut self, ty: &Type, go_type: &str, value: &mut Value) -> Result<(), DecodeError> {
        let fits = match (ty, &*value) {
            (Type::String | Type::IntOrString | Type::Duration, Value::String(_))
            | (Type::Bool, Value::Bool(_)) => true,
            (Type::Int32, Value::Number(number)) => number
                .as_i64()
                .is_some_and(|number| i32::try_from(number).is_ok()),
            (Type::Int64, Value::Number(number)) => number.is_i64(),
            (Type::Float64, Value::Number(_)) => {
                scalar::float(value);
                true
            }
            (Type::Bytes, Value::String(text)) => {
                match scalar::bytes(text) {
                    Ok(canonical) => *value = canonical.into(),
                    Err(error) => self.save(error),
                }
                true
            }
            (Type::Bytes, Value::Array(items)) => {
                match scalar::listed_bytes(items) {
                    Ok(canonical) => *value = canonical.into(),
                    Err(item) => self.mismatch(ty, "uint8", &item.clone()),
                }
                true
            }
            (Type::Quantity, _) => {
                *value = scalar::quantity(value).map_err(DecodeError)?.into();
                true
            }
            (Type::IntOrString, Value::Number(number)) => {
                let fits = number
                    .as_i64()
                    .is_some_and(|number| i32::try_from(number).is_ok());
                return if fits {
                    Ok(())
                } else {
                    Err(self.error(ty, "int32", value))
                };
            }
            (Type::Time | Type::MicroTime, Value::String(text)) => {
                let is_micro = matches!(ty, Type::MicroTime);
                *value = scalar::time(text, is_micro).map_err(DecodeError)?.into();
                true
            }
            (Type::IntOrString, _) => return Err(self.error(ty, "int32", value)),
            (Type::Time | Type::MicroTime, _) => {
                return Err(self.error(ty, "string", value));
            }
            _ => false,
        };
        if !fits {
            self.mismatch(ty, go_type, value);
        }
        Ok(())
    }

    fn mismatch(&mut self, ty: &Type, go_type: &str, value: &Value) {
        let error = self.error(ty, go_type, value);
        self.save(error.0);
    }

    fn save(&mut self, error: String) {
        self.first_error.get_or_insert(DecodeError(error));
    }

    fn error(&self, ty: &Type, go_type: &str, value: &Value) -> DecodeError {
        let is_number = matches!(
            ty,
            Type::Int32 | Type::Int64 | Type::IntOrString | Type::Float64
        );
        let what = match value {
            Value::Number(number) if is_number => format!("number {number}"),
            other => meta::go::json_kind(other).to_owned(),
        };
        let go_type = go_type.trim_start_matches('*');
        let fields: Vec<&str> = self.path.iter().flat_map(Step::go_path).collect();
        DecodeError(match self.owner {
            Some(owner) => format!(
                "json: cannot unmarshal {what} into Go struct field {owner}.{} of type {go_type}",
                fields.join(".")
            ),
            None => format!("json: cannot unmarshal {what} into Go value of type {go_type}"),
        })
    }

    fn unknown(&mut self, name: &str) {
        if self.unknown.len() >= UNKNOWN_FIELDS_MAX {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                }
                Step::Field(field) => push_name(&mut path, &field.name),
                Step::Key(name) if self.names_keys => push_name(&mut path, name),
                Step::Key(_) => {}
            }
        }
        push_name(&mut path, name);
        self.unknown
            .push(format!("unknown field {}", meta::field::quote(&path)));
    }
}

impl<'a> Step<'a> {
    /// The key of the object, or the index in the list, that leads on.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Field(field) => field.name.clone(),
            Self::Index(index) => index.to_string(),
            Self::Key(key) => key.clone(),
        }
    }

    /// The field names that Go's decoder reports, those of embedded structs included.
    fn go_path(&self) -> Vec<&'a str> {
        match self {
            Self::Field(field) => {
                let embedded = field.embedded.iter().map(String::as_str);
                embedded.chain([field.name.as_str()]).collect()
            }
            Self::Index(_) | Self::Key(_) => Vec::new(),
        }
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn is_empty_composite(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn is_left_out(field: &Field, value: &Value) -> bool {
    match field.presence {
        Presence::OmitEmpty => {
            is_empty(&field.ty, value) && !(field.name == TOLD_EMPTY && value.is_array())
        }
        Presence::OmitZero => value.as_object().is_some_and(Map::is_empty),
        Presence::Pointer | Presence::Nullable | Presence::Always | Presence::AlwaysStruct => false,
    }
}

/// Go's name of a type that is not named by its field.
fn go_name<'a>(graph: &'a TypeGraph, ty: &Type) -> &'a str {
    match ty {
        Type::Struct(index) => graph.types.get(*index).map_or("", |item| &item.go_name),
        Type::String => "string",
        Type::Bytes => "[]uint8",
        Type::Bool => "bool",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float64 => "float64",
        Type::Quantity => "resource.Quantity",
        Type::List(_) => "[]string",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
