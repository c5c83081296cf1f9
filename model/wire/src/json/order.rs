//! The order in which keys stand in a document, which a value does not keep.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Step, show};

/// The paths of all keys and items, as complaints spell them, in the order they stand; none when the bytes are no JSON.
pub fn paths(bytes: &[u8]) -> Vec<String> {
    let (mut path, mut found) = (Vec::new(), Vec::new());
    let seed = Keys {
        path: &mut path,
        found: &mut found,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    match seed.deserialize(&mut reader) {
        Ok(()) => found,
        Err(_) => Vec::new(),
    }
}

struct Keys<'a> {
    path: &'a mut Vec<Step>,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _value: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _value: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _value: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _value: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _value: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            self.path.push(Step::Index(index));
            self.found.push(show(self.path));
            let item = items.next_element_seed(Keys {
                path: self.path,
                found: self.found,
            })?;
            self.path.pop();
            if item.is_none() {
                // There was no such item.
                self.found.pop();
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<String>()? {
            self.path.push(Step::Key(key));
            self.found.push(show(self.path));
            entries.next_value_seed(Keys {
                path: self.path,
                found: self.found,
            })?;
            self.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_in_the_order_they_stand() {
        let document = br#"{"b": [{"z": 1, "a": null}], "a": {"c": "x"}}"#;
        assert_eq!(
            paths(document),
            ["b", "b[0]", "b[0].z", "b[0].a", "a", "a.c"]
        );
    }
}
