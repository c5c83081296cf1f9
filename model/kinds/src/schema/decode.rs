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

/// Most mistakes of one object that are looked at to find the one that is told.
const MISTAKES_MAX: usize = 100;

/// The value does not fit the type; displays as Go says it of a document whose fields stand in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeError {
    mistakes: Vec<Mistake>,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mistake {
    path: String,
    why: String,
    /// Whether Go's decoder stops there: an error of a custom decoder. It saves the first of all others for the end.
    is_final: bool,
}

impl DecodeError {
    /// What Go says of a document whose keys and items, as paths, stand in that order.
    pub fn in_order_of(&self, paths: &[String]) -> &str {
        let place = |mistake: &&Mistake| {
            let mut known = paths.iter();
            known
                .position(|path| *path == mistake.path)
                .unwrap_or(usize::MAX)
        };
        let final_ones = self.mistakes.iter().filter(|mistake| mistake.is_final);
        let first = final_ones.min_by_key(place);
        let first = first.or_else(|| self.mistakes.iter().min_by_key(place));
        first.map_or("", |mistake| &mistake.why)
    }
}

impl std::error::Error for DecodeError {}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.in_order_of(&[]))
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
        mistakes: Vec::new(),
        path: Vec::new(),
        owner: None,
    };
    let go_type = match schema.as_struct() {
        Some(item) => item.go_name.as_str(),
        None => "",
    };
    walk.value(&schema.ty, go_type, &mut value);
    if !walk.mistakes.is_empty() {
        let mistakes = walk.mistakes;
        return Err(DecodeError { mistakes });
    }
    Ok(Decoded {
        object: value,
        unknown: walk.unknown,
        emptied: walk.emptied,
    })
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
    mistakes: Vec<Mistake>,
    path: Vec<Step<'a>>,
    /// The struct whose field is being read.
    owner: Option<&'a str>,
}

impl<'a> Walk<'a> {
    /// Canonicalises a value that is not null.
    fn value(&mut self, ty: &'a Type, go_type: &'a str, value: &mut Value) {
        match ty {
            Type::Any => {}
            Type::Struct(index) => {
                if let Some(item) = self.graph.types.get(*index) {
                    self.structure(item, value);
                }
            }
            Type::List(list) => {
                let Value::Array(items) = value else {
                    return self.mismatch(ty, go_type, value);
                };
                let item_type = go_type
                    .strip_prefix("[]")
                    .unwrap_or_else(|| go_name(self.graph, &list.item));
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(Step::Index(index));
                    self.element(&list.item, item_type, item);
                    self.path.pop();
                }
            }
            Type::Map { value: inner, .. } => {
                let Value::Object(map) = value else {
                    return self.mismatch(ty, go_type, value);
                };
                let inner_type = match go_type.split_once(']') {
                    Some((_, rest)) if go_type.starts_with("map[") => rest,
                    _ => go_name(self.graph, inner),
                };
                for (key, item) in map.iter_mut() {
                    self.path.push(Step::Key(key.clone()));
                    self.element(inner, inner_type, item);
                    self.path.pop();
                }
            }
            _ => self.scalar(ty, go_type, value),
        }
    }

    /// An item of a list or map; null stands for the zero value.
    fn element(&mut self, ty: &'a Type, go_type: &'a str, item: &mut Value) {
        if !item.is_null() {
            return self.value(ty, go_type, item);
        }
        if matches!(ty, Type::Bytes) {
            *item = "".into();
        } else if !go_type.starts_with('*') {
            *item = zero(self.graph, ty);
        }
    }

    fn structure(&mut self, item: &'a StructType, value: &mut Value) {
        let Value::Object(map) = value else {
            return self.mismatch(&Type::Any, &item.go_name, value);
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
            self.value(&field.ty, &field.go_type, value);
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
    }

    fn scalar(&mut self, ty: &Type, go_type: &str, value: &mut Value) {
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
                match scalar::quantity(value) {
                    Ok(canonical) => *value = canonical.into(),
                    Err(why) => self.stop(why),
                }
                true
            }
            (Type::IntOrString, Value::Number(number)) => {
                let fits = number
                    .as_i64()
                    .is_some_and(|number| i32::try_from(number).is_ok());
                if !fits {
                    self.stop(self.error(ty, "int32", value));
                }
                true
            }
            (Type::Time | Type::MicroTime, Value::String(text)) => {
                let is_micro = matches!(ty, Type::MicroTime);
                match scalar::time(text, is_micro) {
                    Ok(canonical) => *value = canonical.into(),
                    Err(why) => self.stop(why),
                }
                true
            }
            (Type::IntOrString, _) => {
                self.stop(self.error(ty, "int32", value));
                true
            }
            (Type::Time | Type::MicroTime, _) => {
                self.stop(self.error(ty, "string", value));
                true
            }
            _ => false,
        };
        if !fits {
            self.mismatch(ty, go_type, value);
        }
    }

    fn mismatch(&mut self, ty: &Type, go_type: &str, value: &Value) {
        let error = self.error(ty, go_type, value);
        self.save(error);
    }

    /// Remembers what Go's decoder tells at the end.
    fn save(&mut self, why: String) {
        self.remember(why, false);
    }

    /// Remembers what ends Go's decoder.
    fn stop(&mut self, why: String) {
        self.remember(why, true);
    }

    fn remember(&mut self, why: String, is_final: bool) {
        if self.mistakes.len() < MISTAKES_MAX {
            let path = place(&self.path, true);
            self.mistakes.push(Mistake {
                path,
                why,
                is_final,
            });
        }
    }

    fn error(&self, ty: &Type, go_type: &str, value: &Value) -> String {
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
        match self.owner {
            Some(owner) => format!(
                "json: cannot unmarshal {what} into Go struct field {owner}.{} of type {go_type}",
                fields.join(".")
            ),
            None => format!("json: cannot unmarshal {what} into Go value of type {go_type}"),
        }
    }

    fn unknown(&mut self, name: &str) {
        if self.unknown.len() >= UNKNOWN_FIELDS_MAX {
            return;
        }
        let mut path = place(&self.path, self.names_keys);
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

/// The path that steps make, without the keys of maps when they are not to be named.
fn place(steps: &[Step<'_>], names_keys: bool) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Index(index) => {
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
            }
            Step::Field(field) => push_name(&mut path, &field.name),
            Step::Key(name) if names_keys => push_name(&mut path, name),
            Step::Key(_) => {}
        }
    }
    path
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
