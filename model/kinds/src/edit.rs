//! Edits of JSON maps that defaulting and preparation make.

use serde_json::{Map, Value};

/// Edits of a JSON value that is meant to be a map; on anything else they do nothing.
pub(crate) trait Edit {
    /// Whether a field is absent, null, or the zero text.
    fn lacks(&self, field: &str) -> bool;
    /// Sets a field that is absent, null, or the zero text.
    fn default_to(&mut self, field: &str, value: impl Into<Value>);
    /// Sets a field that Go holds by a pointer: an empty text there is a value.
    fn default_unset(&mut self, field: &str, value: impl Into<Value>);
    /// Sets a number that is absent or zero.
    fn default_number(&mut self, field: &str, value: i64);
    /// Sets a field.
    fn put(&mut self, field: &str, value: impl Into<Value>);
    /// Removes a field.
    fn drop_field(&mut self, field: &str) -> Option<Value>;
    /// The items of a list field; none when it is absent.
    fn items_mut(&mut self, field: &str) -> std::slice::IterMut<'_, Value>;
    /// The map at a field, made when absent.
    fn child_mut(&mut self, field: &str) -> &mut Value;
}

impl Edit for Value {
    fn lacks(&self, field: &str) -> bool {
        match self.get(field) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(_) => false,
        }
    }
    fn default_to(&mut self, field: &str, value: impl Into<Value>) {
        if self.lacks(field) {
            self.put(field, value);
        }
    }
    fn default_unset(&mut self, field: &str, value: impl Into<Value>) {
        if self.get(field).is_none_or(Value::is_null) {
            self.put(field, value);
        }
    }
    fn default_number(&mut self, field: &str, value: i64) {
        if self.get(field).and_then(Value::as_i64).unwrap_or_default() == 0 {
            self.put(field, value);
        }
    }
    fn put(&mut self, field: &str, value: impl Into<Value>) {
        if let Value::Object(map) = self {
            map.insert(field.to_owned(), value.into());
        }
    }
    fn drop_field(&mut self, field: &str) -> Option<Value> {
        self.as_object_mut()?.remove(field)
    }
    fn items_mut(&mut self, field: &str) -> std::slice::IterMut<'_, Value> {
        let items = self.get_mut(field).and_then(Value::as_array_mut);
        items.map(|items| items.iter_mut()).unwrap_or_default()
    }
    fn child_mut(&mut self, field: &str) -> &mut Value {
        if !self.is_object() {
            *self = Value::Object(Map::new());
        }
        let map = self
            .as_object_mut()
            .expect("the value was made a map above");
        let child = map.entry(field).or_insert(Value::Null);
        if child.is_null() {
            *child = Value::Object(Map::new());
        }
        child
    }
}
