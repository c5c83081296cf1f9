//! What JSON patches and merge patches are applied to: values, or the text that upstream shows of a patch that fits no
//! object.

use serde_json::{Map, Value};

/// JSON that can be changed in place.
pub(crate) trait Tree: Clone {
    /// JSON's `null`.
    fn null() -> Self;
    fn is_null(&self) -> bool;
    fn is_map(&mut self) -> bool;
    /// The number of items, of a list.
    fn length(&mut self) -> Option<usize>;
    fn member(&mut self, name: &str) -> Option<&mut Self>;
    fn item(&mut self, index: usize) -> Option<&mut Self>;
    /// Sets a member of a map.
    fn put(&mut self, name: String, value: Self);
    /// Takes a member out of a map.
    fn pull(&mut self, name: &str) -> Option<Self>;
    /// Takes all members out of a map.
    fn pull_all(&mut self) -> Vec<(String, Self)>;
    /// Makes a map of members.
    fn put_all(members: Vec<(String, Self)>) -> Self;
    /// Puts an item into a list, which has that many items at least.
    fn insert(&mut self, index: usize, item: Self);
    /// Takes an item out of a list.
    fn extract(&mut self, index: usize) -> Option<Self>;
    /// The bytes it takes as JSON.
    fn bytes(&self) -> usize;
    fn equals(&self, other: &Self) -> bool;
}

impl Tree for Value {
    fn null() -> Self {
        Self::Null
    }
    fn is_null(&self) -> bool {
        Self::is_null(self)
    }
    fn is_map(&mut self) -> bool {
        self.is_object()
    }
    fn length(&mut self) -> Option<usize> {
        self.as_array().map(Vec::len)
    }
    fn member(&mut self, name: &str) -> Option<&mut Self> {
        self.as_object_mut()?.get_mut(name)
    }
    fn item(&mut self, index: usize) -> Option<&mut Self> {
        self.as_array_mut()?.get_mut(index)
    }
    fn put(&mut self, name: String, value: Self) {
        if let Self::Object(map) = self {
            map.insert(name, value);
        }
    }
    fn pull(&mut self, name: &str) -> Option<Self> {
        self.as_object_mut()?.remove(name)
    }
    fn pull_all(&mut self) -> Vec<(String, Self)> {
        let map = self.as_object_mut().map(std::mem::take);
        map.unwrap_or_default().into_iter().collect()
    }
    fn put_all(members: Vec<(String, Self)>) -> Self {
        Self::Object(members.into_iter().collect::<Map<_, _>>())
    }
    fn insert(&mut self, index: usize, item: Self) {
        if let Self::Array(items) = self {
            items.insert(index, item);
        }
    }
    fn extract(&mut self, index: usize) -> Option<Self> {
        let items = self.as_array_mut()?;
        (index < items.len()).then(|| items.remove(index))
    }
    fn bytes(&self) -> usize {
        self.to_string().len()
    }
    fn equals(&self, other: &Self) -> bool {
        self == other
    }
}
