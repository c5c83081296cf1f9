//! The fields that an object sets, as paths.

use std::collections::BTreeMap;

use serde_json::Value;

use super::atom::{Atom, ListAtom, MapAtom, Node};
use super::element::Element;
use super::set::FieldSet;

/// All fields that the object sets.
pub(super) fn field_set(object: &Value, at: Node<'_>) -> FieldSet {
    let mut walk = Walk {
        out: FieldSet::default(),
        path: Vec::new(),
    };
    walk.value(object, at);
    walk.out
}

struct Walk {
    out: FieldSet,
    path: Vec<Element>,
}

impl Walk {
    fn value(&mut self, value: &Value, at: Node<'_>) {
        match at.atom(Some(value)) {
            Atom::Scalar(_) => self.out.insert(&self.path),
            atom if atom.is_atomic() => self.out.insert(&self.path),
            Atom::List(list) => self.list(&list, value),
            Atom::Map(map) => self.map(&map, value),
        }
    }

    fn map(&mut self, map: &MapAtom<'_>, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let Some(at) = map.at(key) else {
                continue;
            };
            self.path.push(Element::field(key));
            self.value(value, at);
            let is_empty = match value {
                Value::Null => true,
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if is_empty || !map.declares(key) {
                self.out.insert(&self.path);
            }
            self.path.pop();
        }
    }

    /// Items that stand more than once are owned as a whole.
    fn list(&mut self, list: &ListAtom<'_>, value: &Value) {
        let mut groups: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
        for item in value.as_array().into_iter().flatten() {
            if let Ok(element) = list.element(item) {
                groups.entry(element).or_default().push(item);
            }
        }
        for (element, items) in groups {
            self.path.push(element);
            if let [item] = items.as_slice() {
                self.value(item, list.item);
            }
            self.out.insert(&self.path);
            self.path.pop();
        }
    }
}
