//! Takes fields out of an object.

use serde_json::{Map, Value};

use super::atom::{Atom, Node};
use super::element::Element;
use super::set::FieldSet;

/// The object without these fields. Maps and lists that lose their last entry stay, empty.
pub(super) fn remove(value: &Value, gone: &FieldSet, at: Node<'_>) -> Value {
    match (at.atom(Some(value)), value) {
        (Atom::Map(map), Value::Object(entries)) if !map.atomic => {
            let mut kept = Map::new();
            for (key, value) in entries {
                let step = Element::field(key);
                if gone.has_member(&step) {
                    continue;
                }
                let below = map.at(key).unwrap_or_else(|| at.deduced());
                kept.insert(key.clone(), descend(value, gone, &step, below));
            }
            Value::Object(kept)
        }
        (Atom::List(list), Value::Array(items)) if !list.is_atomic() => {
            let mut kept = Vec::new();
            for item in items {
                match list.element(item) {
                    Ok(step) if gone.has_member(&step) => {}
                    Ok(step) => kept.push(descend(item, gone, &step, list.item)),
                    Err(_) => kept.push(item.clone()),
                }
            }
            Value::Array(kept)
        }
        (Atom::Map(_), Value::Object(_)) => Value::Object(Map::new()),
        (Atom::List(_), Value::Array(_)) => Value::Array(Vec::new()),
        _ => value.clone(),
    }
}

fn descend(value: &Value, gone: &FieldSet, step: &Element, at: Node<'_>) -> Value {
    match gone.below(step) {
        Some(gone) => remove(value, gone, at),
        None => value.clone(),
    }
}
