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
    /// Whether an item of a list says nothing of what tells it from others; upstream then cannot say who owns what.
    pub(super) has_nameless: bool,
}

impl Comparison {
    /// Leaves out these fields and what is below them.
    pub(super) fn without(mut self, fields: &FieldSet) -> Self {
        self.removed.subtract_trees(fields);
        self.modified.subtract_trees(fields);
        self.added.subtract_trees(fields);
        self
    }

    /// Takes in what differs at a step and below it.
    fn take(&mut self, step: impl Fn() -> Element, difference: Difference) {
        let Difference { here, below } = difference;
        if let Some(below) = below {
            self.has_nameless |= below.has_nameless;
            for (set, below) in [
                (&mut self.removed, below.removed),
                (&mut self.modified, below.modified),
                (&mut self.added, below.added),
            ] {
                if !below.is_empty() {
                    set.attach(step(), below);
                }
            }
        }
        match here {
            Some(Change::Removed) => self.removed.add(step()),
            Some(Change::Modified) => self.modified.add(step()),
            Some(Change::Added) => self.added.add(step()),
            Some(Change::Regrouped) => {
                self.removed.add(step());
                self.added.add(step());
            }
            None => {}
        }
    }

    fn absorb(&mut self, other: Self) {
        self.removed.absorb(other.removed);
        self.modified.absorb(other.modified);
        self.added.absorb(other.added);
        self.has_nameless |= other.has_nameless;
    }
}

/// What happened to a value.
#[derive(Clone, Copy)]
enum Change {
    Removed,
    Modified,
    Added,
    /// One item of an identity where there were many, or many where there was one: gone as what it was, new as what it is.
    Regrouped,
}

impl Change {
    fn of(old: Option<&Value>, new: Option<&Value>) -> Option<Self> {
        match (old, new) {
            (None, _) => Some(Self::Added),
            (_, None) => Some(Self::Removed),
            (Some(old), Some(new)) if !are_equal(old, new) => Some(Self::Modified),
            _ => None,
        }
    }
}

/// What differs at a value and below it.
#[derive(Default)]
struct Difference {
    here: Option<Change>,
    /// `None`: nothing below it is looked at.
    below: Option<Comparison>,
}

/// Compares two objects of one type. List items that cannot be told apart are passed over, and noted.
pub(super) fn compare(old: &Value, new: &Value, at: Node<'_>) -> Comparison {
    value(Some(old), Some(new), at).below.unwrap_or_default()
}

fn value(old: Option<&Value>, new: Option<&Value>, at: Node<'_>) -> Difference {
    let new_atom = at.atom(new.or(old));
    if let (Some(old), Some(new)) = (old, new) {
        let old_atom = at.atom(Some(old));
        if !old_atom.is_like(&new_atom) {
            let mut difference = as_atom(&old_atom, Some(old), Some(new));
            let other = as_atom(&new_atom, Some(old), Some(new));
            difference.here = other.here.or(difference.here);
            match (&mut difference.below, other.below) {
                (Some(below), Some(other)) => below.absorb(other),
                (below @ None, other) => *below = other,
                (Some(_), None) => {}
            }
            return difference;
        }
    }
    as_atom(&new_atom, old, new)
}

/// Walks the values as that atom.
fn as_atom(atom: &Atom<'_>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    let below = match atom {
        Atom::List(list) if !list.is_atomic() => {
            let items = |value: Option<&Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
            (items(old) + items(new) > 0).then(|| self::list(list, old, new))
        }
        Atom::Map(map) if !map.atomic => {
            let entries =
                |value: Option<&Value>| value.and_then(Value::as_object).map_or(0, Map::len);
            (entries(old) + entries(new) > 0).then(|| self::map(map, old, new))
        }
        _ => None,
    };
    let here = match (&below, old, new) {
        (Some(_), Some(_), Some(_)) => None,
        _ => Change::of(old, new),
    };
    Difference { here, below }
}

fn map(map: &MapAtom<'_>, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let empty = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.and_then(Value::as_object).unwrap_or(&empty);
    let mut out = Comparison::default();
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        if let Some(at) = map.at(key) {
            let difference = value(old.get(key), new.get(key), at);
            out.take(|| Element::field(key), difference);
        }
    }
    out
}

fn list(list: &ListAtom<'_>, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let mut out = Comparison::default();
    if old == new {
        return out;
    }
    let (old, has_nameless_old) = grouped(list, old);
    let (mut new, has_nameless_new) = grouped(list, new);
    out.has_nameless = has_nameless_old || has_nameless_new;
    for (element, old) in old {
        let new = new.remove(&element).unwrap_or_default();
        out.take(|| element.clone(), items(list, &old, &new));
    }
    for (element, new) in new {
        out.take(|| element.clone(), items(list, &[], &new));
    }
    out
}

/// Compares the items of one identity; more than one on a side are compared as a whole.
fn items(list: &ListAtom<'_>, old: &[&Value], new: &[&Value]) -> Difference {
    let whole = |change, difference: Difference| Difference {
        here: Some(change),
        ..difference
    };
    match (old, new) {
        ([] | [_], [] | [_]) => value(old.first().copied(), new.first().copied(), list.item),
        ([_, _, ..], [_, _, ..]) => {
            let same =
                old.len() == new.len() && old.iter().zip(new).all(|(old, new)| are_equal(old, new));
            Difference {
                here: (!same).then_some(Change::Modified),
                ..Difference::default()
            }
        }
        ([_, _, ..], [item]) => whole(Change::Regrouped, value(None, Some(item), list.item)),
        ([item], _) => whole(Change::Regrouped, value(Some(item), None, list.item)),
        ([_, _, ..], []) => whole(Change::Removed, Difference::default()),
        ([], _) => whole(Change::Added, Difference::default()),
    }
}

/// The items of a list by what tells them apart, and whether some do not say it.
fn grouped<'v>(
    list: &ListAtom<'_>,
    value: Option<&'v Value>,
) -> (BTreeMap<Element, Vec<&'v Value>>, bool) {
    let mut groups: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    let mut has_nameless = false;
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        match list.element(item) {
            Ok(element) => groups.entry(element).or_default().push(item),
            Err(_) => has_nameless = true,
        }
    }
    (groups, has_nameless)
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
