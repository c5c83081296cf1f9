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

    /// Adds a step as a path of its own.
    pub(super) fn add(&mut self, step: Element) {
        self.members.insert(step);
    }

    /// Puts a set below a step that has none yet; an empty one is left out.
    pub(super) fn attach(&mut self, step: Element, below: Self) {
        if !below.is_empty() {
            self.children.insert(step, below);
        }
    }

    /// Adds all paths of the other.
    pub fn absorb(&mut self, mut other: Self) {
        self.members.append(&mut other.members);
        for (step, child) in other.children {
            self.children.entry(step).or_default().absorb(child);
        }
    }

    /// Takes out the paths of the other.
    pub fn subtract(&mut self, other: &Self) {
        for step in &other.members {
            self.members.remove(step);
        }
        self.subtract_below(other, Self::subtract);
    }

    /// Takes out the paths of the other and what is below them.
    pub fn subtract_trees(&mut self, other: &Self) {
        for step in &other.members {
            self.members.remove(step);
            self.children.remove(step);
        }
        self.subtract_below(other, Self::subtract_trees);
    }

    fn subtract_below(&mut self, other: &Self, subtract: fn(&mut Self, &Self)) {
        for (step, theirs) in &other.children {
            if let Some(mine) = self.children.get_mut(step) {
                subtract(mine, theirs);
                if mine.is_empty() {
                    self.children.remove(step);
                }
            }
        }
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
    pub fn difference(mut self, other: &Self) -> Self {
        self.subtract(other);
        self
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
    pub(super) fn reconcile(&mut self, at: Node<'_>) {
        let atom = at.atom(None);
        let mut whole = Vec::new();
        for (step, child) in &mut self.children {
            let below = match (step, &atom) {
                (Element::Field(name), Atom::Map(map)) => map.at(name),
                (Element::Key(_) | Element::Value(_), Atom::List(list)) => Some(list.item),
                _ => None,
            };
            match below {
                Some(below) if below.is_deduced() => {}
                Some(below) if below.atom(None).is_atomic() => whole.push(step.clone()),
                Some(below) => child.reconcile(below),
                None => {}
            }
        }
        for step in whole {
            self.children.remove(&step);
            self.members.insert(step);
        }
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
        match value {
            Value::Object(map) => Self::from_map(map),
            _ => Err("fieldsV1 is no object".to_owned()),
        }
    }

    fn from_map(map: &Map<String, Value>) -> Result<Self, String> {
        let mut set = Self::default();
        for (text, below) in map.iter().filter(|(text, _)| *text != ".") {
            let Some(step) = Element::parse(text)? else {
                continue;
            };
            let below = match below {
                Value::Object(below) => below,
                Value::Null => &Map::new(),
                _ => return Err(format!("{text} holds no object")),
            };
            let child = Self::from_map(below)?;
            if below.is_empty() || below.contains_key(".") {
                set.members.insert(step.clone());
            }
            set.attach(step, child);
        }
        Ok(set)
    }
}
