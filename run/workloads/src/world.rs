//! The objects of a cluster, joined: which belong to a workload, and which workloads a change touches.
//!
//! Objects are kept packed, and unpacked for an evaluation; see [`Around`].

mod around;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meta::{Key, ObjectExt};
use serde_json::Value;

pub use around::Around;

use crate::discover::{Followed, Role};
use crate::lean::lean;
use crate::pack::{Packed, uuid};

/// A kind (its index in the plan) and an object of it.
pub type Id = (usize, Key);

/// How well a kind can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No answer yet.
    Pending,
    /// Its objects are known.
    Known,
    /// Reading is forbidden.
    Forbidden(String),
    /// Reading failed.
    Failed(String),
    /// The cluster serves it no more.
    Gone,
}

/// Links to follow from a pod up to its outermost controller; more is a cycle.
const CHAIN_MAX: usize = 4;
/// Separates the parts of a slot's name; no part of a name has it.
const SEPARATOR: char = '\0';

/// Where an object is kept.
type Slot = usize;

/// An object as it came, ready to be kept: trimmed and packed.
#[derive(Debug)]
pub struct Lean {
    key: Key,
    packed: Packed,
    links: Links,
}

impl Lean {
    /// Packs what was picked of an object; `None` for events that no verdict depends on.
    pub(crate) fn new(role: Role, object: &Value) -> Option<Self> {
        let is_kept = role != Role::Event || status::is_evidence(object);
        is_kept.then(|| Self {
            key: object.key(),
            packed: Packed::new(object),
            links: links(role, object),
        })
    }
}

/// What joining needs of an object.
#[derive(Debug, Default)]
struct Links {
    /// The uids that events may name it by; of an event, what it is about.
    names: Vec<Name>,
    owner: Option<Owner>,
    /// Of a pod: its node, empty while it has none.
    node: Option<String>,
}

#[derive(Debug)]
struct Owner {
    uid: Name,
    group: String,
    kind: String,
}

/// A uid, or what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Uuid([u8; 16]),
    Other(Box<str>),
}

impl Name {
    fn new(uid: &str) -> Self {
        uuid(uid).map_or_else(|| Self::Other(uid.into()), Self::Uuid)
    }

    /// The name of an object without a uid, for events that name none.
    fn plain(kind: &str, namespace: &str, name: &str) -> Self {
        Self::Other(format!("{kind}{SEPARATOR}{namespace}{SEPARATOR}{name}").into())
    }
}

/// A kept object.
#[derive(Debug)]
struct Entry {
    kind: usize,
    slot_name: Arc<str>,
    packed: Packed,
    /// Index into `owner_kinds`.
    owner_kind: Option<usize>,
}

/// All objects, with the indexes that joining needs.
#[derive(Debug)]
pub struct World {
    followed: Vec<Followed>,
    readings: Vec<Reading>,
    /// Whether objects of a kind are known, be they out of date.
    was_known: Vec<bool>,
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    objects: Vec<BTreeMap<Arc<str>, Slot>>,
    /// Nodes are few, and looked at often: they stay unpacked.
    nodes: BTreeMap<String, Arc<Value>>,
    by_name: BTreeMap<Name, Slot>,
    by_owner: BTreeMap<Name, BTreeSet<Slot>>,
    by_node: BTreeMap<Box<str>, BTreeSet<Slot>>,
    events_of: BTreeMap<Name, BTreeSet<Slot>>,
    /// Groups and kinds that occur as controllers.
    owner_kinds: Vec<(String, String)>,
    /// Why the whole cluster does not answer.
    silence: Option<String>,
}

impl World {
    /// A world of these kinds, empty and pending.
    pub fn new(followed: Vec<Followed>) -> Self {
        let mut world = Self {
            followed: Vec::new(),
            readings: Vec::new(),
            was_known: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            objects: Vec::new(),
            nodes: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_owner: BTreeMap::new(),
            by_node: BTreeMap::new(),
            events_of: BTreeMap::new(),
            owner_kinds: Vec::new(),
            silence: None,
        };
        for each in followed {
            world.follow(each);
        }
        world
    }

    /// Adds a kind, pending; returns its index.
    pub fn follow(&mut self, followed: Followed) -> usize {
        self.followed.push(followed);
        self.readings.push(Reading::Pending);
        self.was_known.push(false);
        self.objects.push(BTreeMap::new());
        self.followed.len() - 1
    }

    /// Forgets a kind that is served no more; returns the subjects to judge again.
    pub fn retire(&mut self, kind: usize) -> BTreeSet<Id> {
        self.give_up(kind, Reading::Gone)
    }

    /// The kinds.
    pub fn followed(&self) -> &[Followed] {
        &self.followed
    }

    /// How well a kind can be read.
    pub fn reading(&self, kind: usize) -> &Reading {
        self.readings.get(kind).unwrap_or(&Reading::Pending)
    }

    /// Whether every kind has answered.
    pub fn is_complete(&self) -> bool {
        !self.readings.contains(&Reading::Pending)
    }

    /// One object.
    pub fn get(&self, id: &Id) -> Option<Value> {
        let slot = self.slot(id)?;
        Some(self.entry(slot)?.packed.unpack())
    }

    fn slot(&self, id: &Id) -> Option<Slot> {
        self.objects
            .get(id.0)?
            .get(slot_name(&id.1).as_str())
            .copied()
    }

    fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot)?.as_ref()
    }

    fn id(&self, slot: Slot) -> Option<Id> {
        let entry = self.entry(slot)?;
        Some((entry.kind, key(&entry.slot_name)))
    }

    fn role(&self, kind: usize) -> Role {
        self.followed
            .get(kind)
            .map_or(Role::Workload, |followed| followed.role)
    }

    /// Every object that can have a state of its own.
    pub fn subjects(&self) -> impl Iterator<Item = Id> {
        self.followed
            .iter()
            .zip(&self.objects)
            .enumerate()
            .filter(|(_, (followed, _))| matches!(followed.role, Role::Workload | Role::Pod))
            .flat_map(|(kind, (_, objects))| objects.keys().map(move |name| (kind, key(name))))
    }

    /// Says that a kind cannot be read. What was known of it is kept, to be judged as out of date; what may
    /// not be read any longer is forgotten.
    pub fn fail(&mut self, kind: usize, reading: Reading) -> BTreeSet<Id> {
        if self.readings.get(kind) == Some(&reading) {
            return BTreeSet::new();
        }
        if matches!(reading, Reading::Forbidden(_)) {
            return self.give_up(kind, reading);
        }
        if let Some(slot) = self.readings.get_mut(kind) {
            *slot = reading;
        }
        self.everything()
    }

    fn give_up(&mut self, kind: usize, reading: Reading) -> BTreeSet<Id> {
        let mut touched = self.change(kind, Vec::new(), true);
        if let Some(slot) = self.readings.get_mut(kind) {
            *slot = reading;
        }
        if let Some(was_known) = self.was_known.get_mut(kind) {
            *was_known = false;
        }
        touched.extend(self.everything());
        touched
    }

    /// The whole cluster does not answer (and why), or does so again: everything known is out of date, or is
    /// not.
    pub fn fall_silent(&mut self, why: Option<String>) -> BTreeSet<Id> {
        if self.silence == why {
            return BTreeSet::new();
        }
        self.silence = why;
        self.everything()
    }

    /// Why the whole cluster does not answer, if it does not.
    pub fn silence(&self) -> Option<&str> {
        self.silence.as_deref()
    }

    /// Makes an object of a kind ready to be kept; `None` for events that no verdict depends on.
    pub fn lean(role: Role, object: Value) -> Option<Lean> {
        Lean::new(role, &lean(role, object))
    }

    /// Replaces all objects of a kind; returns the subjects to judge again.
    pub fn replace(&mut self, kind: usize, objects: Vec<Lean>) -> BTreeSet<Id> {
        if self.readings.get(kind) == Some(&Reading::Known) {
            return self.change(kind, objects, true);
        }
        let mut touched = self.change(kind, objects, false);
        touched.extend(self.everything());
        touched
    }

    /// The same for whoever judges everything afterwards.
    pub fn load(&mut self, kind: usize, objects: Vec<Lean>) {
        self.change(kind, objects, false);
    }

    fn change(&mut self, kind: usize, objects: Vec<Lean>, is_asked: bool) -> BTreeSet<Id> {
        let kept: BTreeSet<String> = objects.iter().map(|each| slot_name(&each.key)).collect();
        let gone: Vec<Key> = self
            .objects
            .get(kind)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter(|name| !kept.contains(&***name))
            .map(|name| key(name))
            .collect();
        if let Some(slot) = self.readings.get_mut(kind) {
            *slot = Reading::Known;
        }
        if let Some(was_known) = self.was_known.get_mut(kind) {
            *was_known = true;
        }
        let mut touched = BTreeSet::new();
        for key in gone {
            touched.extend(self.delete(kind, &key));
        }
        for object in objects {
            touched.extend(self.keep(kind, object, is_asked));
        }
        touched
    }

    fn everything(&self) -> BTreeSet<Id> {
        self.subjects().collect()
    }

    /// Puts an object in its place; returns the subjects to judge again.
    pub fn apply(&mut self, kind: usize, object: Lean) -> BTreeSet<Id> {
        self.keep(kind, object, true)
    }

    fn keep(&mut self, kind: usize, object: Lean, is_asked: bool) -> BTreeSet<Id> {
        if self.followed.get(kind).is_none() {
            return BTreeSet::new();
        }
        let id = (kind, object.key.clone());
        if let Some(old) = self.slot(&id).and_then(|slot| self.entry(slot))
            && old.packed == object.packed
        {
            return BTreeSet::new();
        }
        let mut touched = BTreeSet::new();
        if is_asked {
            touched.extend(self.touched(&id));
        }
        self.take(&id);
        self.put(kind, object);
        if is_asked {
            touched.extend(self.touched(&id));
        }
        touched
    }

    /// Takes an object out; returns the subjects to judge again.
    pub fn delete(&mut self, kind: usize, key: &Key) -> BTreeSet<Id> {
        let id = (kind, key.clone());
        if self.slot(&id).is_none() {
            return BTreeSet::new();
        }
        let mut touched = self.touched(&id);
        // Its board must hear of it even where nothing else is touched.
        if matches!(self.role(kind), Role::Workload | Role::Pod) {
            touched.insert(id.clone());
        }
        self.take(&id);
        touched
    }

    fn put(&mut self, kind: usize, object: Lean) {
        let slot = self.free.pop().unwrap_or(self.entries.len());
        let role = self.role(kind);
        let Lean { key, packed, links } = object;
        if role == Role::Node {
            self.nodes
                .insert(key.name.clone(), Arc::new(packed.unpack()));
        }
        let owner_kind = links
            .owner
            .as_ref()
            .map(|owner| self.owner_kind(&owner.group, &owner.kind));
        self.index(role, &links, slot);
        let slot_name: Arc<str> = slot_name(&key).into();
        if let Some(objects) = self.objects.get_mut(kind) {
            objects.insert(Arc::clone(&slot_name), slot);
        }
        let entry = Some(Entry {
            kind,
            slot_name,
            packed,
            owner_kind,
        });
        match self.entries.get_mut(slot) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
    }

    fn owner_kind(&mut self, group: &str, kind: &str) -> usize {
        let is_it = |known: &(String, String)| known.0 == group && known.1 == kind;
        self.owner_kinds.iter().position(is_it).unwrap_or_else(|| {
            self.owner_kinds.push((group.to_owned(), kind.to_owned()));
            self.owner_kinds.len() - 1
        })
    }

    fn index(&mut self, role: Role, links: &Links, slot: Slot) {
        for name in &links.names {
            if role == Role::Event {
                self.events_of.entry(name.clone()).or_default().insert(slot);
            } else {
                self.by_name.insert(name.clone(), slot);
            }
        }
        if let Some(owner) = &links.owner {
            self.by_owner
                .entry(owner.uid.clone())
                .or_default()
                .insert(slot);
        }
        if let Some(node) = links.node.as_deref() {
            self.by_node.entry(node.into()).or_default().insert(slot);
        }
    }

    fn take(&mut self, id: &Id) {
        let name = slot_name(&id.1);
        let Some(slot) = self
            .objects
            .get_mut(id.0)
            .and_then(|objects| objects.remove(name.as_str()))
        else {
            return;
        };
        let Some(old) = self.entries.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.free.push(slot);
        let role = self.role(id.0);
        if role == Role::Node {
            self.nodes.remove(&id.1.name);
        }
        let links = links(role, &old.packed.unpack());
        for name in &links.names {
            if role == Role::Event {
                unindex(&mut self.events_of, name, slot);
            } else if self.by_name.get(name) == Some(&slot) {
                self.by_name.remove(name);
            }
        }
        if let Some(owner) = &links.owner {
            unindex(&mut self.by_owner, &owner.uid, slot);
        }
        if let Some(node) = links.node {
            unindex(&mut self.by_node, &node.into_boxed_str(), slot);
        }
    }

    /// The subjects whose verdict may depend on an object.
    fn touched(&self, id: &Id) -> BTreeSet<Id> {
        let Some(slot) = self.slot(id) else {
            return BTreeSet::new();
        };
        match self.role(id.0) {
            Role::Node => {
                let on_node = self.by_node.get(id.1.name.as_str());
                let unplaced = self.by_node.get("");
                let pods = on_node.into_iter().chain(unplaced).flatten();
                pods.flat_map(|pod| self.chain(*pod)).collect()
            }
            Role::Event => {
                let Some(entry) = self.entry(slot) else {
                    return BTreeSet::new();
                };
                let about = self.named(&about(&entry.packed.unpack()));
                about.map_or_else(BTreeSet::new, |slot| self.chain(slot))
            }
            Role::Workload | Role::Pod => self.chain(slot),
        }
    }

    fn named(&self, name: &Name) -> Option<Slot> {
        if let Name::Other(text) = name
            && let Some((kind, rest)) = text.split_once(SEPARATOR)
        {
            let kind = self.index_of(kind)?;
            return self.objects.get(kind)?.get(rest).copied();
        }
        self.by_name.get(name).copied()
    }

    fn index_of(&self, kind: &str) -> Option<usize> {
        self.followed
            .iter()
            .position(|followed| followed.resource.kind == kind)
    }

    /// An object and its controllers, outwards.
    fn chain(&self, slot: Slot) -> BTreeSet<Id> {
        let mut found = BTreeSet::new();
        let mut next = Some(slot);
        for _ in 0..=CHAIN_MAX {
            let Some(slot) = next else { break };
            let Some(id) = self.id(slot) else { break };
            if !found.insert(id) {
                break;
            }
            next = self
                .entry(slot)
                .filter(|entry| entry.owner_kind.is_some())
                .and_then(|_| self.owner_of(&self.id(slot)?));
        }
        found
    }

    fn owner_of(&self, id: &Id) -> Option<Slot> {
        let owner = owner(&self.get(id)?)?;
        self.by_name.get(&owner.uid).copied()
    }

    /// Whether an object is part of a followed workload, and so no workload of its own.
    pub fn is_part(&self, id: &Id) -> bool {
        let owner = self
            .slot(id)
            .and_then(|slot| self.entry(slot)?.owner_kind)
            .and_then(|index| self.owner_kinds.get(index));
        let Some((group, kind)) = owner else {
            return false;
        };
        self.followed
            .iter()
            .zip(&self.was_known)
            .any(|(each, was_known)| {
                each.role == Role::Workload
                    && each.resource.group == *group
                    && each.resource.kind == *kind
                    && *was_known
            })
    }
}

fn unindex<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Slot>>, value: &K, slot: Slot) {
    if let Some(slots) = index.get_mut(value) {
        slots.remove(&slot);
        if slots.is_empty() {
            index.remove(value);
        }
    }
}

/// Sorts like the pair.
fn slot_name(key: &Key) -> String {
    let mut name = String::with_capacity(key.namespace.len() + 1 + key.name.len());
    name.push_str(&key.namespace);
    name.push(SEPARATOR);
    name.push_str(&key.name);
    name
}

fn key(slot_name: &str) -> Key {
    let (namespace, name) = slot_name.split_once(SEPARATOR).unwrap_or_default();
    Key::new(namespace, name)
}

fn links(role: Role, object: &Value) -> Links {
    match role {
        Role::Event => Links {
            names: vec![about(object)],
            ..Links::default()
        },
        Role::Workload | Role::Pod | Role::Node => Links {
            names: names(object).collect(),
            owner: owner(object),
            node: (role == Role::Pod).then(|| node_of(object).to_owned()),
        },
    }
}

/// The uids of an object. Events of static pods carry the hash of their configuration instead.
fn names(object: &Value) -> impl Iterator<Item = Name> {
    let hash = object.annotation("kubernetes.io/config.hash");
    let uids = [Some(object.uid()), hash].into_iter().flatten();
    uids.filter(|uid| !uid.is_empty()).map(Name::new)
}

/// What an event is about.
fn about(event: &Value) -> Name {
    let reference = event
        .at(&["involvedObject"])
        .or_else(|| event.at(&["regarding"]))
        .unwrap_or(&Value::Null);
    let text = |field: &str| reference.str_at(&[field]).unwrap_or_default();
    match text("uid") {
        "" => Name::plain(text("kind"), text("namespace"), text("name")),
        uid => Name::new(uid),
    }
}

fn owner(object: &Value) -> Option<Owner> {
    let owner = object.controller()?;
    let text = |field: &str| owner.str_at(&[field]).unwrap_or_default();
    let group = meta::id::split_api_version(text("apiVersion")).map_or("", |(group, _)| group);
    Some(Owner {
        uid: Name::new(text("uid")),
        group: group.to_owned(),
        kind: text("kind").to_owned(),
    })
}

fn node_of(pod: &Value) -> &str {
    pod.str_at(&["spec", "nodeName"]).unwrap_or_default()
}

#[cfg(test)]
mod tests;
