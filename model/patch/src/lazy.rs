//! JSON text that is taken apart only where a patch reaches into it: the rest stays as it was written, while the
//! members of what was taken apart come out sorted.
//!
//! So the text of a patched object shows what the patch touched. Source: evanphx/json-patch `lazyNode`.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::tree::Tree;

/// One value of such a text.
#[derive(Clone, Debug)]
pub(crate) enum Lazy {
    Text(String),
    Map(BTreeMap<String, Lazy>),
    List(Vec<Lazy>),
}

impl Lazy {
    /// A text that is JSON.
    pub(crate) fn new(text: &str) -> Self {
        Self::Text(text.trim().to_owned())
    }
    /// The text, without spaces between its parts.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
    fn write(&self, text: &mut String) {
        match self {
            Self::Text(value) => text.push_str(&compact(value)),
            Self::Map(map) => {
                text.push('{');
                for (index, (name, value)) in map.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    text.push_str(&Value::from(name.as_str()).to_string());
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
            Self::List(items) => {
                text.push('[');
                for (index, value) in items.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    value.write(text);
                }
                text.push(']');
            }
        }
    }
    fn value(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_default()
    }
    /// Takes a text apart that is a map or a list.
    fn open(&mut self) -> &mut Self {
        if let Self::Text(text) = self {
            let own = |raw: &RawValue| Self::new(raw.get());
            if text.starts_with('{') {
                let map: BTreeMap<String, &RawValue> =
                    serde_json::from_str(text).unwrap_or_default();
                let members = map.into_iter().map(|(name, value)| (name, own(value)));
                *self = Self::Map(members.collect());
            } else if text.starts_with('[') {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                *self = Self::List(items.into_iter().map(own).collect());
            }
        }
        self
    }
    fn map(&mut self) -> Option<&mut BTreeMap<String, Self>> {
        match self.open() {
            Self::Map(map) => Some(map),
            Self::Text(_) | Self::List(_) => None,
        }
    }
    fn list(&mut self) -> Option<&mut Vec<Self>> {
        match self.open() {
            Self::List(items) => Some(items),
            Self::Text(_) | Self::Map(_) => None,
        }
    }
}

/// JSON without the spaces between its parts.
fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if !quoted && matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        text.push(c);
    }
    text
}

impl Tree for Lazy {
    fn null() -> Self {
        Self::new("null")
    }
    fn is_null(&self) -> bool {
        matches!(self, Self::Text(text) if text == "null")
    }
    fn is_map(&mut self) -> bool {
        self.map().is_some()
    }
    fn length(&mut self) -> Option<usize> {
        self.list().map(|items| items.len())
    }
    fn member(&mut self, name: &str) -> Option<&mut Self> {
        self.map()?.get_mut(name)
    }
    fn item(&mut self, index: usize) -> Option<&mut Self> {
        self.list()?.get_mut(index)
    }
    fn put(&mut self, name: String, value: Self) {
        if let Some(map) = self.map() {
            map.insert(name, value);
        }
    }
    fn pull(&mut self, name: &str) -> Option<Self> {
        self.map()?.remove(name)
    }
    fn pull_all(&mut self) -> Vec<(String, Self)> {
        let map = self.map().map(std::mem::take);
        map.unwrap_or_default().into_iter().collect()
    }
    fn put_all(members: Vec<(String, Self)>) -> Self {
        Self::Map(members.into_iter().collect())
    }
    fn insert(&mut self, index: usize, item: Self) {
        if let Some(items) = self.list() {
            items.insert(index, item);
        }
    }
    fn extract(&mut self, index: usize) -> Option<Self> {
        let items = self.list()?;
        (index < items.len()).then(|| items.remove(index))
    }
    fn bytes(&self) -> usize {
        self.text().len()
    }
    fn equals(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_into_is_sorted_and_the_rest_is_not() {
        let mut lazy =
            Lazy::new(r#"{"b": {"z": 1, "y": [2, 1]}, "a": {"z": "\u00e9 \" :", "y": {}}}"#);
        assert!(lazy.member("a").is_some());
        assert_eq!(
            lazy.text(),
            r#"{"a":{"z":"\u00e9 \" :","y":{}},"b":{"z":1,"y":[2,1]}}"#
        );
        assert!(lazy.member("b").is_some_and(|b| b.member("y").is_some()));
        assert_eq!(
            lazy.text(),
            r#"{"a":{"z":"\u00e9 \" :","y":{}},"b":{"y":[2,1],"z":1}}"#
        );
    }
}
