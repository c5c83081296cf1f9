//! A value whose keys still have types, and what it is in JSON.
//!
//! Source: sigs.k8s.io/yaml `convertToJSONableObject`; Go's `encoding/json` and `fmt`.

use std::collections::BTreeMap;

use meta::field::quote;
use serde_json::{Map, Number, Value};

use super::scalar::{Float, Scalar};

/// A value as YAML has it.
#[derive(Debug)]
pub(super) enum Typed {
    Scalar(Scalar),
    List(Vec<Typed>),
    Map(BTreeMap<Scalar, Typed>),
}

impl Typed {
    /// The same in JSON.
    ///
    /// # Errors
    /// A key or a number that JSON does not have.
    pub(super) fn json(self) -> Result<Value, String> {
        match self {
            Self::Scalar(scalar) => scalar.json(),
            Self::List(items) => items.into_iter().map(Self::json).collect(),
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let Some(text) = key.text() else {
                        return Err(unsupported_key(&key, &value));
                    };
                    map.insert(text, value.json()?);
                }
                Ok(map.into())
            }
        }
    }

    /// As Go's `%#v` shows it.
    pub(super) fn go(&self) -> String {
        let mut shown = String::new();
        self.show(&mut shown);
        shown
    }

    fn show(&self, shown: &mut String) {
        match self {
            Self::Scalar(scalar) => shown.push_str(&scalar.go()),
            Self::List(items) => {
                shown.push_str("[]interface {}{");
                for (at, item) in items.iter().enumerate() {
                    shown.push_str(if at == 0 { "" } else { ", " });
                    item.show_within(shown);
                }
                shown.push('}');
            }
            Self::Map(entries) => {
                shown.push_str("map[interface {}]interface {}{");
                for (at, (key, value)) in entries.iter().enumerate() {
                    shown.push_str(if at == 0 { "" } else { ", " });
                    match key {
                        Scalar::Null => shown.push_str(NIL_WITHIN),
                        key => shown.push_str(&key.go()),
                    }
                    shown.push(':');
                    value.show_within(shown);
                }
                shown.push('}');
            }
        }
    }

    fn show_within(&self, shown: &mut String) {
        match self {
            Self::Scalar(Scalar::Null) => shown.push_str(NIL_WITHIN),
            other => other.show(shown),
        }
    }
}

/// Nothing, in a list or map, as Go's `%#v` shows it.
const NIL_WITHIN: &str = "interface {}(nil)";

fn unsupported_key(key: &Scalar, value: &Typed) -> String {
    let of = match key {
        Scalar::Uint(_) => "uint64",
        _ => "%!s(<nil>)",
    };
    let (key, value) = (key.go(), value.go());
    format!("unsupported map key of type: {of}, key: {key}, value: {value}")
}

impl Scalar {
    fn json(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(number) => number.into(),
            Self::Uint(number) => number.into(),
            Self::Float(Float(float)) => float_json(float)?,
            Self::Text(text) => text.into(),
        })
    }

    /// The key of an object that it is; `None` for what upstream has no text for.
    fn text(&self) -> Option<String> {
        match self {
            Self::Null | Self::Uint(_) => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(number) => Some(number.to_string()),
            Self::Float(Float(float)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "upstream writes it with 32 bits"
                )]
                let float = *float as f32;
                Some(match general(&format!("{float:e}")).as_str() {
                    "+Inf" => ".inf".to_owned(),
                    "-Inf" => "-.inf".to_owned(),
                    "NaN" => ".nan".to_owned(),
                    number => number.to_owned(),
                })
            }
            Self::Text(text) => Some(text.clone()),
        }
    }

    /// As Go's `%#v` shows it.
    pub(super) fn go(&self) -> String {
        match self {
            Self::Null => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Uint(number) => format!("{number:#x}"),
            Self::Float(Float(float)) => general(&format!("{float:e}")),
            Self::Text(text) => quote(text),
        }
    }
}

/// A float as Go's reader of JSON understands what its writer writes: without a fraction it is an integer.
fn float_json(float: f64) -> Result<Value, String> {
    let Some(number) = Number::from_f64(float) else {
        let name = general(&format!("{float:e}"));
        return Err(format!("json: unsupported value: {name}"));
    };
    if float.abs() >= 1e21 {
        return Ok(number.into());
    }
    let written = float.to_string();
    let signed = written.parse::<i64>().map(Value::from);
    let whole = signed.or_else(|_| written.parse::<u64>().map(Value::from));
    Ok(whole.unwrap_or_else(|_| number.into()))
}

/// A number's shortest digits, given with an exponent, as Go's verb `%g` writes them.
fn general(scientific: &str) -> String {
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return match scientific {
            "inf" => "+Inf".to_owned(),
            "-inf" => "-Inf".to_owned(),
            other => other.to_owned(),
        };
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        let float: f64 = scientific.parse().unwrap_or_default();
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let exponent = exponent.unsigned_abs();
    format!("{digits}e{sign}{exponent:02}")
}
