//! A value as it is read, with the keys that stand twice.

use std::fmt;

use meta::field::quote;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

/// A value, and what is told of keys that stand twice in its maps.
#[derive(Default)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) duplicates: Vec<String>,
}

impl<T: Into<Value>> From<T> for Node {
    fn from(value: T) -> Self {
        Self {
            value: value.into(),
            duplicates: Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::default())
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let (mut list, mut duplicates) = (Vec::new(), Vec::new());
        while let Some(item) = items.next_element::<Node>()? {
            list.push(item.value);
            duplicates.extend(item.duplicates);
        }
        Ok(Node {
            value: list.into(),
            duplicates,
        })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let (mut map, mut duplicates) = (Map::new(), Vec::new());
        while let Some(key) = entries.next_key::<String>()? {
            let held: Spanned<Node> = entries.next_value()?;
            duplicates.extend(held.value.duplicates);
            if map.contains_key(&key) {
                let line = held.referenced.line();
                duplicates.push(format!(
                    "line {line}: key {} already set in map",
                    quote(&key)
                ));
            }
            map.insert(key, held.value.value);
        }
        Ok(Node {
            value: map.into(),
            duplicates,
        })
    }
}
