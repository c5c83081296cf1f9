//! Merges what is applied into the live object, by schema.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::atom::{Atom, ListAtom, MapAtom, Node};
use super::element::Element;

/// The live object with what the configuration says. Items that the live list holds twice are not merged into.
pub(super) fn combine(live: &Value, config: &Value, at: Node<'_>) -> Value {
    value(Some(live), Some(config), at).unwrap_or(Value::Null)
}

/// `None` when nothing is left.
fn value(live: Option<&Value>, config: Option<&Value>, at: Node<'_>) -> Option<Value> {
    atom(&at.atom(config.or(live)), live, config)
}

fn atom(atom: &Atom<'_>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let kept = || config.or(live).cloned();
    match atom {
        Atom::Scalar(_) => kept(),
        Atom::List(list) => {
            let items = |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
            if list.is_atomic() || items(live) + items(config) == 0 {
                return kept();
            }
            self::list(list, live, config)
        }
        Atom::Map(map) => {
            let entries =
                |value: Option<&Value>| value.and_then(Value::as_object).map_or(0, Map::len);
            if map.atomic || entries(live) + entries(config) == 0 {
                return kept();
            }
            self::map(map, live, config)
        }
    }
}

fn map(map: &MapAtom<'_>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let empty = Map::new();
    let live = live.and_then(Value::as_object).unwrap_or(&empty);
    let config = config.and_then(Value::as_object).unwrap_or(&empty);
    let mut out = Map::new();
    let added = config.keys().filter(|key| !live.contains_key(*key));
    for key in live.keys().chain(added) {
        let merged = match map.at(key) {
            Some(at) => value(live.get(key), config.get(key), at),
            None => config.get(key).or_else(|| live.get(key)).cloned(),
        };
        if let Some(merged) = merged {
            out.insert(key.clone(), merged);
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// A list's items with what tells them apart, and the first item of each; `None` where there is more than one.
struct Indexed<'v> {
    items: Vec<(Element, &'v Value)>,
    unique: BTreeMap<Element, Option<&'v Value>>,
}

fn indexed<'v>(list: &ListAtom<'_>, value: Option<&'v Value>) -> Indexed<'v> {
    let mut items = Vec::new();
    let mut unique = BTreeMap::new();
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(element) = list.element(item) {
            unique
                .entry(element.clone())
                .and_modify(|first| *first = None)
                .or_insert(Some(item));
            items.push((element, item));
        }
    }
    Indexed { items, unique }
}

/// Items keep the live order as far as the configuration's order allows; new ones stand where it puts them.
fn list(list: &ListAtom<'_>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let (live, config) = (indexed(list, live), indexed(list, config));
    let mut shared: VecDeque<&Element> = config
        .items
        .iter()
        .map(|(element, _)| element)
        .filter(|element| live.unique.contains_key(element))
        .collect();
    let mut next_shared = shared.pop_front();
    let mut merged = BTreeSet::new();
    let mut out = Vec::new();
    let mut take = |live_item: Option<&Value>, item: Option<&Value>| {
        out.extend(value(live_item, item, list.item));
    };
    let (mut l, mut r) = (0, 0);
    loop {
        let (left, right) = (live.items.get(l), config.items.get(r));
        if left.is_none() && right.is_none() {
            break;
        }
        if let (Some((left, _)), Some((right, item))) = (left, right) {
            if left == right {
                merged.insert(left);
                let live_item = live.unique.get(left).copied().flatten();
                take(live_item, Some(item));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.pop_front();
                continue;
            }
            if config.unique.contains_key(left) && next_shared.is_some_and(|next| next != left) {
                l += 1;
                continue;
            }
        }
        if let Some((left, item)) = left {
            if !config.unique.contains_key(left) {
                take(Some(item), None);
                l += 1;
                continue;
            }
            if merged.contains(left) {
                l += 1;
            }
        }
        if let Some((right, item)) = right {
            merged.insert(right);
            let live_item = live.unique.get(right).copied().flatten();
            take(live_item, Some(item));
            r += 1;
            if next_shared == Some(right) {
                next_shared = shared.pop_front();
            }
        }
    }
    (!out.is_empty()).then_some(Value::Array(out))
}
