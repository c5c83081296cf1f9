//! Reads a part of a JSON value; what is not wanted is skipped without being made.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Which part of a value is wanted. A value of another shape than expected is wanted whole.
#[derive(Debug)]
pub(super) enum Want {
    /// All of it.
    All,
    /// That it is there: a map or list comes out empty.
    Presence,
    /// These fields of a map.
    Fields(&'static [(&'static str, Self)]),
    /// All fields of a map, and of these only so much.
    Rest(&'static [(&'static str, Self)]),
    /// So much of every item of a list.
    Each(&'static Self),
}

impl Want {
    /// The wanted part of a value.
    pub(super) fn of_value(&self, value: Value) -> Value {
        // Reading a value out of a value cannot fail.
        self.deserialize(value).unwrap_or_default()
    }

    /// The wanted part of a value's bytes.
    pub(super) fn of_bytes(&self, bytes: &[u8]) -> Result<Value, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let value = self.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// What is wanted of a field; `None`: nothing.
    fn of_field(&self, field: &str) -> Option<&Self> {
        let listed = |fields: &'static [(&'static str, Self)]| {
            let found = fields.iter().find(|(name, _)| *name == field);
            found.map(|(_, want)| want)
        };
        match self {
            Self::All | Self::Each(_) => Some(&Self::All),
            Self::Presence => None,
            Self::Fields(fields) => listed(fields),
            Self::Rest(fields) => listed(fields).or(Some(&Self::All)),
        }
    }

    fn of_item(&self) -> Option<&Self> {
        match self {
            Self::All | Self::Fields(_) | Self::Rest(_) => Some(&Self::All),
            Self::Presence => None,
            Self::Each(want) => Some(want),
        }
    }
}

impl<'de> DeserializeSeed<'de> for &Want {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Want::All => Value::deserialize(deserializer),
            want => deserializer.deserialize_any(Picking(want)),
        }
    }
}

struct Picking<'w>(&'w Want);

impl<'de> Visitor<'de> for Picking<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
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
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        match self.0.of_item() {
            Some(want) => {
                while let Some(item) = items.next_element_seed(want)? {
                    list.push(item);
                }
            }
            None => while items.next_element::<IgnoredAny>()?.is_some() {},
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(Name(field)) = entries.next_key::<Name<'de>>()? {
            match self.0.of_field(&field) {
                Some(want) => {
                    let value = entries.next_value_seed(want)?;
                    map.insert(field.into_owned(), value);
                }
                None => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(map.into())
    }
}

/// The name of a field, borrowed where the bytes allow it.
#[derive(Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);
