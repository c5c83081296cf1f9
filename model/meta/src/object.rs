//! Any Kubernetes object as JSON, and the accessors that need no schema.
//!
//! A missing or mistyped field reads as absent: callers that must refuse such input do so by schema, before.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::id::{Gvk, Key};

/// An object in its wire form: a JSON object whose keys are sorted, so equal objects encode to equal bytes.
pub type Object = Value;

/// Reads and writes the fields that every object has.
pub trait ObjectExt {
    /// `apiVersion`, or empty.
    fn api_version(&self) -> &str;
    /// `kind`, or empty.
    fn kind(&self) -> &str;
    /// Group, version and kind; `None` when either field is missing or `apiVersion` is malformed.
    fn gvk(&self) -> Option<Gvk>;
    /// `metadata.name`, or empty.
    fn name(&self) -> &str;
    /// `metadata.namespace`, or empty.
    fn namespace(&self) -> &str;
    /// Namespace and name.
    fn key(&self) -> Key;
    /// `metadata.uid`, or empty.
    fn uid(&self) -> &str;
    /// `metadata.resourceVersion`, or empty.
    fn resource_version(&self) -> &str;
    /// `metadata.generation`, or 0.
    fn generation(&self) -> i64;
    /// `metadata.deletionTimestamp`, when set.
    fn deletion_timestamp(&self) -> Option<&str>;
    /// `metadata.finalizers`.
    fn finalizers(&self) -> Vec<&str>;
    /// `metadata.labels`; entries that are no strings are left out.
    fn labels(&self) -> BTreeMap<String, String>;
    /// One label's value.
    fn label(&self, key: &str) -> Option<&str>;
    /// One annotation's value.
    fn annotation(&self, key: &str) -> Option<&str>;
    /// `metadata.ownerReferences`, as they stand.
    fn owner_references(&self) -> &[Value];
    /// The owner reference with `controller: true`.
    fn controller(&self) -> Option<&Value>;
    /// The value at a path of field names; `None` when any step is missing.
    fn at(&self, path: &[&str]) -> Option<&Value>;
    /// The string at a path.
    fn str_at(&self, path: &[&str]) -> Option<&str>;
    /// The integer at a path.
    fn int_at(&self, path: &[&str]) -> Option<i64>;
    /// The boolean at a path.
    fn bool_at(&self, path: &[&str]) -> Option<bool>;
    /// The list at a path; empty when missing.
    fn list_at(&self, path: &[&str]) -> &[Value];
    /// The map at `metadata`, made when missing. An object that is no map is replaced by one.
    fn metadata_mut(&mut self) -> &mut Map<String, Value>;
    /// The map at `field`, made when missing.
    fn map_mut(&mut self, field: &str) -> &mut Map<String, Value>;
    /// Sets the value at a path, making maps on the way.
    fn set(&mut self, path: &[&str], value: Value);
    /// Removes the value at a path and returns it.
    fn remove(&mut self, path: &[&str]) -> Option<Value>;
}

const NO_ITEMS: &[Value] = &[];

impl ObjectExt for Value {
    fn api_version(&self) -> &str {
        self.str_at(&["apiVersion"]).unwrap_or_default()
    }
    fn kind(&self) -> &str {
        self.str_at(&["kind"]).unwrap_or_default()
    }
    fn gvk(&self) -> Option<Gvk> {
        let (api_version, kind) = (self.api_version(), self.kind());
        if api_version.is_empty() || kind.is_empty() {
            return None;
        }
        Gvk::from_api_version(api_version, kind)
    }
    fn name(&self) -> &str {
        self.str_at(&["metadata", "name"]).unwrap_or_default()
    }
    fn namespace(&self) -> &str {
        self.str_at(&["metadata", "namespace"]).unwrap_or_default()
    }
    fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }
    fn uid(&self) -> &str {
        self.str_at(&["metadata", "uid"]).unwrap_or_default()
    }
    fn resource_version(&self) -> &str {
        self.str_at(&["metadata", "resourceVersion"])
            .unwrap_or_default()
    }
    fn generation(&self) -> i64 {
        self.int_at(&["metadata", "generation"]).unwrap_or_default()
    }
    fn deletion_timestamp(&self) -> Option<&str> {
        self.str_at(&["metadata", "deletionTimestamp"])
    }
    fn finalizers(&self) -> Vec<&str> {
        self.list_at(&["metadata", "finalizers"])
            .iter()
            .filter_map(Value::as_str)
            .collect()
    }
    fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.at(&["metadata", "labels"]).and_then(Value::as_object);
        let pairs = labels.into_iter().flatten();
        pairs
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }
    fn label(&self, key: &str) -> Option<&str> {
        self.str_at(&["metadata", "labels", key])
    }
    fn annotation(&self, key: &str) -> Option<&str> {
        self.str_at(&["metadata", "annotations", key])
    }
    fn owner_references(&self) -> &[Value] {
        self.list_at(&["metadata", "ownerReferences"])
    }
    fn controller(&self) -> Option<&Value> {
        self.owner_references()
            .iter()
            .find(|owner| owner.bool_at(&["controller"]) == Some(true))
    }
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter()
            .try_fold(self, |value, step| value.get(step))
            .filter(|value| !value.is_null())
    }
    fn str_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).and_then(Value::as_str)
    }
    fn int_at(&self, path: &[&str]) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }
    fn bool_at(&self, path: &[&str]) -> Option<bool> {
        self.at(path).and_then(Value::as_bool)
    }
    fn list_at(&self, path: &[&str]) -> &[Value] {
        self.at(path)
            .and_then(Value::as_array)
            .map_or(NO_ITEMS, Vec::as_slice)
    }
    fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        self.map_mut("metadata")
    }
    fn map_mut(&mut self, field: &str) -> &mut Map<String, Value> {
        let child = as_map(self).entry(field).or_insert(Value::Null);
        as_map(child)
    }
    fn set(&mut self, path: &[&str], value: Value) {
        let Some((last, parents)) = path.split_last() else {
            *self = value;
            return;
        };
        let parent = parents.iter().fold(self, |parent, step| {
            as_map(parent).entry(*step).or_insert(Value::Null)
        });
        as_map(parent).insert((*last).to_owned(), value);
    }
    fn remove(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let parent = parents
            .iter()
            .try_fold(self, |parent, step| parent.get_mut(step))?;
        parent.as_object_mut()?.remove(*last)
    }
}

/// The value as a map; anything else is replaced by an empty one.
fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value
        .as_object_mut()
        .expect("the value was made an object two lines above")
}
