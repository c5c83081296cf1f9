//! What differs between two objects, as paths.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::atom::{Atom, ListAtom, MapAtom, Node};
use super::element::Element;
use super::set::FieldSet;

/// The difference between two objects.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) added: FieldSet,
}

impl Comparison {
    /// Leaves out these fields and what is below them.
    pub(super) fn without(self, fields: &FieldSet) -> Self {
        if fields.is_empty() {
            return self;
        }
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }
}

/// Compares two objects of one type. List items that cannot be told apart are passed over; validation refuses them.
pub(super) fn compare(old: &Value, new: &Value, at: Node<'_>) -> Comparison {
    let mut walk = Walk {
        out: Comparison::default(),
        path: Vec::new(),
    };
    walk.value(Some(old), Some(new), at);
    walk.out
}

struct Walk {
    out: Comparison,
    path: Vec<Element>,
}

impl Walk {
    fn value(&mut self, old: Option<&Value>, new: Option<&Value>, at: Node<'_>) {
        let (old_atom, new_atom) = (at.atom(old), at.atom(new));
        let is_leaf = if new.is_none() {
            self.atom(&old_atom, old, new)
        } else {
            if old.is_some() && !old_atom.is_like(&new_atom) {
                self.atom(&old_atom, old, new);
            }
            self.atom(&new_atom, old, new)
        };
        if is_leaf {
            return;
        }
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            _ => {}
        }
    }

    /// Walks the values as that atom; whether they were compared as a whole.
    fn atom(&mut self, atom: &Atom<'_>, old: Option<&Value>, new: Option<&Value>) -> bool {
        match atom {
            Atom::Scalar(_) => {
                self.leaf(old, new);
                true
            }
            Atom::List(list) => {
                let items =
                    |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
                if list.is_atomic() || items(old) + items(new) == 0 {
                    self.leaf(old, new);
                    return true;
                }
                self.list(list, old, new);
                false
            }
            Atom::Map(map) => {
                let entries =
                    |value: Option<&Value>| value.and_then(Value::as_object).map_or(0, Map::len);
                if map.atomic || entries(old) + entries(new) == 0 {
                    self.leaf(old, new);
                    return true;
                }
                self.map(map, old, new);
                false
            }
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            (Some(old), Some(new)) if !are_equal(old, new) => self.out.modified.insert(&self.path),
            _ => {}
        }
    }

    fn map(&mut self, map: &MapAtom<'_>, old: Option<&Value>, new: Option<&Value>) {
        let empty = Map::new();
        let old = old.and_then(Value::as_object).unwrap_or(&empty);
        let new = new.and_then(Value::as_object).unwrap_or(&empty);
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let Some(at) = map.at(key) else {
                continue;
            };
            self.path.push(Element::field(key));
            self.value(old.get(key), new.get(key), at);
            self.path.pop();
        }
    }

    fn list(&mut self, list: &ListAtom<'_>, old: Option<&Value>, new: Option<&Value>) {
        let old = grouped(list, old);
        let mut new = grouped(list, new);
        for (element, old) in old {
            let new = new.remove(&element).unwrap_or_default();
            self.item(list, element, &old, &new);
        }
        for (element, new) in new {
            self.item(list, element, &[], &new);
        }
    }

    /// Compares the items of one identity; more than one on a side are compared as a whole.
    fn item(&mut self, list: &ListAtom<'_>, element: Element, old: &[&Value], new: &[&Value]) {
        self.path.push(element);
        match (old, new) {
            ([] | [_], [] | [_]) => {
                self.value(old.first().copied(), new.first().copied(), list.item);
            }
            ([_, _, ..], [_, _, ..]) => {
                let same = old.len() == new.len()
                    && old.iter().zip(new).all(|(old, new)| are_equal(old, new));
                if !same {
                    self.out.modified.insert(&self.path);
                }
            }
            ([_, _, ..], _) => {
                if let Some(new) = new.first() {
                    self.value(None, Some(new), list.item);
                }
                self.out.removed.insert(&self.path);
            }
            (_, [_, _, ..]) => {
                if let Some(old) = old.first() {
                    self.value(Some(old), None, list.item);
                }
                self.out.added.insert(&self.path);
            }
        }
        self.path.pop();
    }
}

/// The items of a list by what tells them apart.
fn grouped<'v>(list: &ListAtom<'_>, value: Option<&'v Value>) -> BTreeMap<Element, Vec<&'v Value>> {
    let mut groups: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(element) = list.element(item) {
            groups.entry(element).or_default().push(item);
        }
    }
    groups
}

/// Equality that takes `1` and `1.0` for the same.
pub(super) fn are_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| are_equal(a, b)))
        }
        _ => left == right,
    }
}
