//! The fields that an object sets, as paths.

use std::collections::BTreeMap;

use serde_json::Value;

use super::atom::{Atom, ListAtom, MapAtom, Node};
use super::element::Element;
use super::set::FieldSet;

/// All fields that the object sets.
pub(super) fn field_set(object: &Value, at: Node<'_>) -> FieldSet {
    below(object, at).unwrap_or_default()
}

/// What is set below a value; `None` when the value is owned as a whole.
fn below(value: &Value, at: Node<'_>) -> Option<FieldSet> {
    match at.atom(Some(value)) {
        Atom::List(list) if !list.is_atomic() => Some(of_list(&list, value)),
        Atom::Map(map) if !map.atomic => Some(of_map(&map, value)),
        _ => None,
    }
}

fn of_map(map: &MapAtom<'_>, value: &Value) -> FieldSet {
    let mut out = FieldSet::default();
    for (key, value) in value.as_object().into_iter().flatten() {
        let Some(at) = map.at(key) else {
            continue;
        };
        let below = below(value, at);
        let is_empty = match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if below.is_none() || is_empty || !map.declares(key) {
            out.add(Element::field(key));
        }
        if let Some(below) = below.filter(|below| !below.is_empty()) {
            out.attach(Element::field(key), below);
        }
    }
    out
}

/// Items that stand more than once are owned as a whole.
fn of_list(list: &ListAtom<'_>, value: &Value) -> FieldSet {
    let mut groups: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in value.as_array().into_iter().flatten() {
        if let Ok(element) = list.element(item) {
            groups.entry(element).or_default().push(item);
        }
    }
    let mut out = FieldSet::default();
    for (element, items) in groups {
        if let [item] = items.as_slice()
            && let Some(below) = below(item, list.item)
        {
            out.attach(element.clone(), below);
        }
        out.add(element);
    }
    out
}
