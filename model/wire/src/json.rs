//! Reading JSON: a value, and which keys stood twice.
//!
//! Source: sigs.k8s.io/json: paths and wording of duplicate fields; encoding/json for what is no JSON at all.

mod indent;
mod lossy;
mod order;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

pub use indent::Indenter;
pub use order::paths;

/// Most duplicate keys that are reported for one document. Source: sigs.k8s.io/json.
const DUPLICATES_MAX: usize = 100;

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The value; of a key that stands twice the last one counts.
    pub value: Value,
    /// Complaints such as `duplicate field "metadata.name"`.
    pub duplicates: Vec<String>,
}

/// Reads one JSON value.
///
/// # Errors
/// The bytes are no JSON; the sentence is close to Go's.
pub fn read(bytes: &[u8]) -> Result<Document, String> {
    read_exactly(bytes).or_else(|why| match lossy::mended(bytes) {
        Some(mended) => read_exactly(&mended).map_err(|_| why),
        None => Err(why),
    })
}

fn read_exactly(bytes: &[u8]) -> Result<Document, String> {
    let mut duplicates = Vec::new();
    let mut path = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let seed = Node {
        path: &mut path,
        duplicates: &mut duplicates,
    };
    let value = seed
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(value) => Ok(Document { value, duplicates }),
        Err(error) => Err(meta::json_syntax::complaint(bytes).unwrap_or_else(|| error.to_string())),
    }
}

enum Step {
    Key(String),
    Index(usize),
}

/// Reads one value and remembers where it is.
struct Node<'a> {
    path: &'a mut Vec<Step>,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            self.path.push(Step::Index(list.len()));
            let item = items.next_element_seed(Node {
                path: self.path,
                duplicates: self.duplicates,
            })?;
            self.path.pop();
            match item {
                Some(item) => list.push(item),
                None => return Ok(list.into()),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.path.push(Step::Key(key.clone()));
            let value = entries.next_value_seed(Node {
                path: self.path,
                duplicates: self.duplicates,
            })?;
            if map.insert(key, value).is_some() && self.duplicates.len() < DUPLICATES_MAX {
                let complaint = format!("duplicate field {}", meta::field::quote(&show(self.path)));
                if !self.duplicates.contains(&complaint) {
                    self.duplicates.push(complaint);
                }
            }
            self.path.pop();
        }
        Ok(map.into())
    }
}

fn show(path: &[Step]) -> String {
    let mut shown = String::new();
    for step in path {
        match step {
            Step::Key(key) if shown.is_empty() => shown.push_str(key),
            Step::Key(key) => {
                shown.push('.');
                shown.push_str(key);
            }
            Step::Index(index) => shown.extend(["[", &index.to_string(), "]"]),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_stand_twice_are_named_by_path() {
        let document = read(br#"{"a":{"b":1,"b":2},"l":[{"x":1},{"x":1,"x":2}]}"#).unwrap();
        assert_eq!(
            document.duplicates,
            [r#"duplicate field "a.b""#, r#"duplicate field "l[1].x""#]
        );
        assert_eq!(document.value["a"]["b"], 2);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert_eq!(
            read(b"{\"a\":").unwrap_err(),
            "unexpected end of JSON input"
        );
        assert_eq!(
            read(b"x").unwrap_err(),
            "invalid character 'x' looking for beginning of value"
        );
        assert!(read(b"{} {}").is_err());
    }
}
