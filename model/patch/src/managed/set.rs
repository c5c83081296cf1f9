//! Sets of field paths, and their form in `managedFields[].fieldsV1`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::atom::{Atom, Node};
use super::element::Element;

/// A set of paths. A path's parents are members only when they were inserted themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<Element>,
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// The set of these paths.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a [Element]>) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    /// Adds a path. The empty path stands for the whole object, whose ownership nobody tracks.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether there is no path in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Whether that very path is in it.
    pub fn has(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self
                .children
                .get(first)
                .is_some_and(|child| child.has(rest)),
        }
    }

    /// Whether that step is a member here.
    pub(super) fn has_member(&self, step: &Element) -> bool {
        self.members.contains(step)
    }

    /// The paths below a step; `None` when there are none.
    pub(super) fn below(&self, step: &Element) -> Option<&Self> {
        self.children.get(step).filter(|child| !child.is_empty())
    }

    /// All paths of both.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.members.extend(other.members.iter().cloned());
        for (step, child) in &other.children {
            let mine = self.children.remove(step).unwrap_or_default();
            self.children.insert(step.clone(), mine.union(child));
        }
        self
    }

    /// The paths that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: self.filter_children(|step, child| {
                other
                    .children
                    .get(step)
                    .map(|other| child.intersection(other))
            }),
        }
    }

    /// The paths that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: self.filter_children(|step, child| {
                Some(match other.children.get(step) {
                    Some(other) => child.difference(other),
                    None => child.clone(),
                })
            }),
        }
    }

    /// The paths that are not in the other, nor below one that is.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: self.filter_children(|step, child| {
                if other.members.contains(step) {
                    return None;
                }
                Some(match other.children.get(step) {
                    Some(other) => child.recursive_difference(other),
                    None => child.clone(),
                })
            }),
        }
    }

    /// The same paths and the struct fields on the way to them, which are not listed otherwise.
    #[must_use]
    pub(super) fn with_named_fields(&self, at: Node<'_>) -> Self {
        let atom = at.atom(None);
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (step, child) in &self.children {
            if let (Element::Field(name), Atom::Map(map)) = (step, &atom)
                && map.declares(name)
            {
                members.insert(step.clone());
            }
            let below = match (step, &atom) {
                (Element::Field(name), Atom::Map(map)) => map.at(name),
                (Element::Key(_) | Element::Value(_), Atom::List(list)) => Some(list.item),
                _ => None,
            };
            let below = below.unwrap_or_else(|| at.deduced());
            children.insert(step.clone(), child.with_named_fields(below));
        }
        Self { members, children }
    }

    fn filter_children(
        &self,
        keep: impl Fn(&Element, &Self) -> Option<Self>,
    ) -> BTreeMap<Element, Self> {
        self.children
            .iter()
            .filter_map(|(step, child)| {
                let kept = keep(step, child).filter(|kept| !kept.is_empty())?;
                Some((step.clone(), kept))
            })
            .collect()
    }

    /// Every path, members before what is below them.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        for step in &self.members {
            prefix.push(step.clone());
            paths.push(prefix.clone());
            prefix.pop();
        }
        for (step, child) in &self.children {
            prefix.push(step.clone());
            child.collect(prefix, paths);
            prefix.pop();
        }
    }

    /// Replaces ownership of parts of what the schema now treats as one value by ownership of the whole.
    #[must_use]
    pub(super) fn reconciled(&self, at: Node<'_>) -> Self {
        let atom = at.atom(None);
        let mut out = Self {
            members: self.members.clone(),
            children: BTreeMap::new(),
        };
        for (step, child) in &self.children {
            let below = match (step, &atom) {
                (Element::Field(name), Atom::Map(map)) => map.at(name),
                (Element::Key(_) | Element::Value(_), Atom::List(list)) => Some(list.item),
                _ => None,
            };
            match below {
                Some(below) if below.atom(None).is_atomic() && !below.is_deduced() => {
                    out.members.insert(step.clone());
                }
                Some(below) => {
                    out.children.insert(step.clone(), child.reconciled(below));
                }
                None => {
                    out.children.insert(step.clone(), child.clone());
                }
            }
        }
        out
    }

    /// The value of `fieldsV1`.
    pub fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        for step in &self.members {
            map.insert(step.notation(), Value::Object(Map::new()));
        }
        for (step, child) in self.children.iter().filter(|(_, child)| !child.is_empty()) {
            let mut below = child.to_fields_v1();
            if self.members.contains(step)
                && let Value::Object(below) = &mut below
            {
                below.insert(".".into(), Value::Object(Map::new()));
            }
            map.insert(step.notation(), below);
        }
        Value::Object(map)
    }

    /// Reads the value of `fieldsV1`.
    ///
    /// # Errors
    /// The value is no tree of steps.
    pub fn from_fields_v1(value: &Value) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err("fieldsV1 is no object".to_owned());
        };
        let mut set = Self::default();
        for (text, below) in map.iter().filter(|(text, _)| *text != ".") {
            let Some(step) = Element::parse(text)? else {
                continue;
            };
            let empty = Map::new();
            let below_map = match below {
                Value::Object(map) => map,
                Value::Null => &empty,
                _ => return Err(format!("{text} holds no object")),
            };
            if below_map.is_empty() || below_map.contains_key(".") {
                set.members.insert(step.clone());
            }
            let child = Self::from_fields_v1(&Value::Object(below_map.clone()))?;
            if !child.is_empty() {
                set.children.insert(step, child);
            }
        }
        Ok(set)
    }
}
