//! One step of a field path, as `fieldsV1` spells it: `f:name`, `k:{...}`, `v:...`, `i:...`.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

/// A step from a value to one below it. Ordered as structured-merge-diff orders steps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of a struct or an entry of a map.
    Field(String),
    /// The list item with these key fields, sorted by name.
    Key(Vec<(String, Scalar)>),
    /// The item of a set.
    Value(Scalar),
    /// The list item at a place.
    Index(usize),
}

impl Element {
    /// A field of a struct or an entry of a map.
    pub fn field(name: impl Into<String>) -> Self {
        Self::Field(name.into())
    }

    /// Reads the notation of `fieldsV1`. `Ok(None)` for a kind of step that is not known, which readers skip.
    ///
    /// # Errors
    /// The text is no step.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Err(format!("missing colon: {text}"));
        };
        let json = |rest: &str| -> Result<Value, String> {
            serde_json::from_str(rest).map_err(|error| error.to_string())
        };
        Ok(match kind {
            "f" => Some(Self::field(rest)),
            "v" => Some(Self::Value(Scalar(json(rest)?))),
            "k" => {
                let Value::Object(map) = json(rest)? else {
                    return Err(format!("key is no object: {text}"));
                };
                Some(Self::Key(
                    map.into_iter()
                        .map(|(name, value)| (name, Scalar(value)))
                        .collect(),
                ))
            }
            "i" => Some(Self::Index(
                rest.parse()
                    .map_err(|_| format!("index is no number: {text}"))?,
            )),
            _ => None,
        })
    }

    /// The notation of `fieldsV1`.
    pub(super) fn notation(&self) -> String {
        match self {
            Self::Field(name) => ["f:", name].concat(),
            Self::Value(value) => format!("v:{}", value.0),
            Self::Key(fields) => {
                let map: Map<String, Value> = fields
                    .iter()
                    .map(|(name, value)| (name.clone(), value.0.clone()))
                    .collect();
                format!("k:{}", Value::Object(map))
            }
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

/// As conflicts and typing errors print it: `.spec`, `[name="web"]`, `[="x"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{name}={}", Shown(&value.0))?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", Shown(&value.0)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A value inside a step, as conflicts and typing errors print it. Source: structured-merge-diff `value.ToString`.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(&meta::field::quote(text)),
            Value::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}", Shown(item))?;
                }
                f.write_str("]")
            }
            Value::Object(map) => map
                .iter()
                .try_for_each(|(name, value)| write!(f, "{name}={}", Shown(value))),
            scalar => write!(f, "{scalar}"),
        }
    }
}

/// A path, printed as its steps are.
pub(super) fn path_text(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}

/// A value inside a step; in practice text, a number or a boolean.
#[derive(Clone, Debug)]
pub struct Scalar(pub Value);

impl Scalar {
    fn rank(&self) -> u8 {
        match self.0 {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Value::Number(left), Value::Number(right)) => {
                let float = |number: &serde_json::Number| number.as_f64().unwrap_or_default();
                match (left.as_i64(), right.as_i64()) {
                    (Some(left), Some(right)) => left.cmp(&right),
                    _ => float(left).total_cmp(&float(right)),
                }
            }
            (Value::String(left), Value::String(right)) => left.cmp(right),
            (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
            (left, right) => self
                .rank()
                .cmp(&other.rank())
                .then_with(|| left.to_string().cmp(&right.to_string())),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_are_no_scalars_are_shown_too() {
        let key = |value: Value| Element::Key(vec![("name".into(), Scalar(value))]).to_string();
        assert_eq!(key(json!("a")), r#"[name="a"]"#);
        assert_eq!(key(json!({})), "[name=]");
        assert_eq!(
            key(json!({"a": "b", "c": [1, null]})),
            r#"[name=a="b"c=[1,null]]"#
        );
    }
}
