//! The objects of a cluster, joined: which belong to a workload, and which workloads a change touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meta::{Key, ObjectExt};
use serde_json::{Value, json};
use status::Related;

use crate::discover::{Followed, Role, controllers};

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
}

/// Links to follow from a pod up to its outermost controller; more is a cycle.
const CHAIN_MAX: usize = 4;

/// All objects, with the indexes that joining needs.
#[derive(Debug)]
pub struct World {
    followed: Vec<Followed>,
    controllers: BTreeMap<(String, String), usize>,
    readings: Vec<Reading>,
    objects: Vec<BTreeMap<Key, Arc<Value>>>,
    by_uid: BTreeMap<String, Id>,
    by_controller: BTreeMap<String, BTreeSet<Id>>,
    by_node: BTreeMap<String, BTreeSet<Id>>,
    events_of: BTreeMap<String, BTreeSet<Id>>,
}

impl World {
    /// A world of these kinds, empty and pending.
    pub fn new(followed: Vec<Followed>) -> Self {
        Self {
            controllers: controllers(&followed),
            readings: vec![Reading::Pending; followed.len()],
            objects: vec![BTreeMap::new(); followed.len()],
            followed,
            by_uid: BTreeMap::new(),
            by_controller: BTreeMap::new(),
            by_node: BTreeMap::new(),
            events_of: BTreeMap::new(),
        }
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
    pub fn get(&self, id: &Id) -> Option<&Arc<Value>> {
        self.objects.get(id.0)?.get(&id.1)
    }

    /// Every object that can have a state of its own.
    pub fn subjects(&self) -> impl Iterator<Item = Id> {
        self.followed
            .iter()
            .zip(&self.objects)
            .enumerate()
            .filter(|(_, (followed, _))| matches!(followed.role, Role::Workload | Role::Pod))
            .flat_map(|(kind, (_, objects))| objects.keys().map(move |key| (kind, key.clone())))
    }

    /// Says that a kind cannot be read; what was known of it is kept.
    pub fn fail(&mut self, kind: usize, reading: Reading) -> BTreeSet<Id> {
        let changed = self.readings.get(kind) != Some(&reading);
        if let Some(slot) = self.readings.get_mut(kind) {
            *slot = reading;
        }
        if changed {
            self.everything()
        } else {
            BTreeSet::new()
        }
    }

    /// Replaces all objects of a kind; returns the subjects to judge again.
    pub fn replace(&mut self, kind: usize, objects: Vec<Value>) -> BTreeSet<Id> {
        let kept: BTreeSet<Key> = objects.iter().map(ObjectExt::key).collect();
        let gone: Vec<Key> = self
            .objects
            .get(kind)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter(|key| !kept.contains(*key))
            .cloned()
            .collect();
        let was_known = self.readings.get(kind) == Some(&Reading::Known);
        if let Some(slot) = self.readings.get_mut(kind) {
            *slot = Reading::Known;
        }
        let mut touched = BTreeSet::new();
        for key in gone {
            touched.extend(self.delete(kind, &key));
        }
        for object in objects {
            touched.extend(self.apply(kind, object));
        }
        if was_known {
            touched
        } else {
            self.everything()
        }
    }

    fn everything(&self) -> BTreeSet<Id> {
        self.subjects().collect()
    }

    /// Puts an object in its place; returns the subjects to judge again.
    pub fn apply(&mut self, kind: usize, object: Value) -> BTreeSet<Id> {
        let Some(role) = self.followed.get(kind).map(|followed| followed.role) else {
            return BTreeSet::new();
        };
        let object = Arc::new(trim(role, object));
        let id = (kind, object.key());
        let old = self.take(&id);
        if role == Role::Node
            && old
                .as_ref()
                .is_some_and(|old| seen_of_node(old) == seen_of_node(&object))
        {
            self.put(id, object);
            return BTreeSet::new();
        }
        let mut touched = old.map(|old| self.touched(&id, &old)).unwrap_or_default();
        self.put(id.clone(), Arc::clone(&object));
        touched.extend(self.touched(&id, &object));
        touched
    }

    /// Takes an object out; returns the subjects to judge again.
    pub fn delete(&mut self, kind: usize, key: &Key) -> BTreeSet<Id> {
        let id = (kind, key.clone());
        let Some(old) = self.take(&id) else {
            return BTreeSet::new();
        };
        self.touched(&id, &old)
    }

    fn put(&mut self, id: Id, object: Arc<Value>) {
        let role = self.followed.get(id.0).map(|followed| followed.role);
        if role == Some(Role::Event) {
            let about = about(&object).to_owned();
            self.events_of.entry(about).or_default().insert(id.clone());
        } else {
            self.by_uid.insert(object.uid().to_owned(), id.clone());
            if let Some(uid) = controller_uid(&object) {
                self.by_controller
                    .entry(uid.to_owned())
                    .or_default()
                    .insert(id.clone());
            }
            if role == Some(Role::Pod) {
                self.by_node
                    .entry(node_of(&object).to_owned())
                    .or_default()
                    .insert(id.clone());
            }
        }
        if let Some(objects) = self.objects.get_mut(id.0) {
            objects.insert(id.1, object);
        }
    }

    fn take(&mut self, id: &Id) -> Option<Arc<Value>> {
        let old = self.objects.get_mut(id.0)?.remove(&id.1)?;
        if let Some(Role::Event) = self.followed.get(id.0).map(|followed| followed.role) {
            unindex(&mut self.events_of, about(&old), id);
        } else {
            self.by_uid.remove(old.uid());
            if let Some(uid) = controller_uid(&old) {
                unindex(&mut self.by_controller, uid, id);
            }
            unindex(&mut self.by_node, node_of(&old), id);
        }
        Some(old)
    }

    /// The subjects whose verdict may depend on an object.
    fn touched(&self, id: &Id, object: &Value) -> BTreeSet<Id> {
        match self.followed.get(id.0).map(|followed| followed.role) {
            Some(Role::Node) => {
                let on_node = self.by_node.get(object.name()).into_iter().flatten();
                let unplaced = self.by_node.get("").into_iter().flatten();
                on_node
                    .chain(unplaced)
                    .filter_map(|pod| Some((pod, self.get(pod)?)))
                    .flat_map(|(pod, object)| self.chain(pod, object))
                    .collect()
            }
            Some(Role::Event) => self
                .by_uid
                .get(about(object))
                .and_then(|id| Some(self.chain(id, self.get(id)?)))
                .unwrap_or_default(),
            _ => self.chain(id, object),
        }
    }

    /// An object and its controllers, outwards.
    fn chain(&self, id: &Id, object: &Value) -> BTreeSet<Id> {
        let mut found = BTreeSet::from([id.clone()]);
        let mut next = controller_uid(object).and_then(|uid| self.by_uid.get(uid));
        for _ in 0..CHAIN_MAX {
            let Some(id) = next else { break };
            if !found.insert(id.clone()) {
                break;
            }
            next = self
                .get(id)
                .and_then(|object| controller_uid(object))
                .and_then(|uid| self.by_uid.get(uid));
        }
        found
    }

    /// Whether an object is part of a followed workload, and so no workload of its own.
    pub fn is_part(&self, object: &Value) -> bool {
        let Some(owner) = object.controller() else {
            return false;
        };
        let version = owner.str_at(&["apiVersion"]).unwrap_or_default();
        let group = meta::id::split_api_version(version).map_or("", |(group, _)| group);
        let kind = owner.str_at(&["kind"]).unwrap_or_default();
        self.controllers
            .get(&(group.to_owned(), kind.to_owned()))
            .is_some_and(|index| self.readings.get(*index) == Some(&Reading::Known))
    }

    /// What is known about a subject.
    pub fn related(&self, id: &Id) -> Related<'_> {
        let Some(subject) = self.get(id) else {
            return Related::default();
        };
        let uid = subject.uid();
        let direct = self.controlled(uid);
        let indirect = direct
            .iter()
            .filter(|(role, _)| *role == Role::Workload)
            .flat_map(|(_, part)| self.controlled(part.uid()));
        let parts: Vec<_> = direct.iter().copied().chain(indirect).collect();
        let pods: Vec<&Value> = parts
            .iter()
            .filter(|(role, _)| *role == Role::Pod)
            .map(|(_, pod)| *pod)
            .collect();
        let of_kind = |kind: &str| -> Option<Vec<&Value>> {
            let index = self.index_of(kind)?;
            (self.reading(index) == &Reading::Known).then(|| {
                direct
                    .iter()
                    .filter(|(_, part)| part.kind() == kind)
                    .map(|(_, part)| *part)
                    .collect()
            })
        };
        let events =
            self.events(std::iter::once(&**subject).chain(parts.iter().map(|(_, part)| *part)));
        let nodes = self.nodes(if self.role(id) == Role::Pod {
            vec![&**subject]
        } else {
            pods.clone()
        });
        let pods_reading = self
            .index_of_role(Role::Pod)
            .map(|index| self.reading(index));
        Related {
            pods: (pods_reading == Some(&Reading::Known)).then_some(pods),
            replica_sets: of_kind("ReplicaSet"),
            jobs: of_kind("Job"),
            nodes,
            events,
            pods_error: match pods_reading {
                Some(Reading::Failed(why)) => Some(why.clone()),
                _ => None,
            },
        }
    }

    fn role(&self, id: &Id) -> Role {
        self.followed
            .get(id.0)
            .map_or(Role::Workload, |followed| followed.role)
    }

    fn index_of(&self, kind: &str) -> Option<usize> {
        self.followed
            .iter()
            .position(|followed| followed.resource.kind == kind)
    }

    fn index_of_role(&self, role: Role) -> Option<usize> {
        self.followed
            .iter()
            .position(|followed| followed.role == role)
    }

    fn controlled(&self, uid: &str) -> Vec<(Role, &Value)> {
        let ids = self.by_controller.get(uid).into_iter().flatten();
        ids.filter_map(|id| Some((self.role(id), &**self.get(id)?)))
            .collect()
    }

    fn events<'w>(&'w self, about: impl Iterator<Item = &'w Value>) -> Option<Vec<&'w Value>> {
        let index = self.index_of_role(Role::Event)?;
        if self.reading(index) != &Reading::Known {
            return None;
        }
        // Events of static pods carry the hash of their configuration instead of the uid.
        let uids = about.flat_map(|object| {
            let hash = object.annotation("kubernetes.io/config.hash");
            [Some(object.uid()), hash].into_iter().flatten()
        });
        let ids = uids.filter_map(|uid| self.events_of.get(uid)).flatten();
        Some(
            ids.filter_map(|id| self.get(id).map(|event| &**event))
                .collect(),
        )
    }

    /// The nodes of some pods as far as they exist; all nodes when a pod has none, since the
    /// scheduler's refusal is about all of them.
    fn nodes(&self, pods: Vec<&Value>) -> Option<Vec<&Value>> {
        let index = self.index_of_role(Role::Node)?;
        if self.reading(index) != &Reading::Known {
            return None;
        }
        let nodes = self.objects.get(index)?;
        if pods.iter().any(|pod| node_of(pod).is_empty()) {
            return Some(nodes.values().map(|node| &**node).collect());
        }
        let names: BTreeSet<&str> = pods.into_iter().map(node_of).collect();
        let found = names
            .into_iter()
            .filter_map(|name| nodes.get(&Key::new("", name)));
        Some(found.map(|node| &**node).collect())
    }
}

fn unindex(index: &mut BTreeMap<String, BTreeSet<Id>>, value: &str, id: &Id) {
    if let Some(ids) = index.get_mut(value) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(value);
        }
    }
}

fn controller_uid(object: &Value) -> Option<&str> {
    object.controller().and_then(|owner| owner.str_at(&["uid"]))
}

fn node_of(pod: &Value) -> &str {
    pod.str_at(&["spec", "nodeName"]).unwrap_or_default()
}

/// The uid of the object that an event is about.
fn about(event: &Value) -> &str {
    event
        .str_at(&["involvedObject", "uid"])
        .or_else(|| event.str_at(&["regarding", "uid"]))
        .unwrap_or_default()
}

/// What verdicts depend on in a node: heartbeats and images change all the time and do not matter.
fn seen_of_node(node: &Value) -> Value {
    let ready = node
        .list_at(&["status", "conditions"])
        .iter()
        .find(|condition| condition.str_at(&["type"]) == Some("Ready"));
    let of_ready = |field: &str| ready.and_then(|ready| ready.str_at(&[field]));
    json!([
        of_ready("status"),
        of_ready("message"),
        node.list_at(&["spec", "taints"])
    ])
}

/// Drops what no rule reads, so that a hundred thousand pods fit.
fn trim(role: Role, mut object: Value) -> Value {
    compress_managed_fields(&mut object, role);
    match role {
        Role::Pod => {
            for field in [
                "volumes",
                "affinity",
                "topologySpreadConstraints",
                "imagePullSecrets",
            ] {
                object.remove(&["spec", field]);
            }
            for list in ["containers", "initContainers"] {
                if let Some(Value::Array(containers)) = object.pointer_mut(&format!("/spec/{list}"))
                {
                    for container in containers {
                        keep(
                            container,
                            &[
                                "name",
                                "image",
                                "restartPolicy",
                                "readinessProbe",
                                "startupProbe",
                            ],
                        );
                    }
                }
            }
        }
        Role::Node => {
            for field in ["images", "nodeInfo", "capacity", "allocatable", "addresses"] {
                object.remove(&["status", field]);
            }
        }
        Role::Workload | Role::Event => {}
    }
    object.remove(&[
        "metadata",
        "annotations",
        "kubectl.kubernetes.io/last-applied-configuration",
    ]);
    object
}

fn keep(object: &mut Value, fields: &[&str]) {
    if let Some(map) = object.as_object_mut() {
        map.retain(|field, _| fields.contains(&field.as_str()));
    }
}

/// Leaves of the managed fields what tells when the spec was written, and by which subresource.
fn compress_managed_fields(object: &mut Value, role: Role) {
    let entries = object.list_at(&["metadata", "managedFields"]);
    if entries.is_empty() {
        return;
    }
    let kept: Vec<Value> = entries
        .iter()
        .filter(|entry| role == Role::Workload && entry.at(&["fieldsV1", "f:spec"]).is_some())
        .map(|entry| {
            json!({
                "time": entry.str_at(&["time"]),
                "subresource": entry.str_at(&["subresource"]),
                "fieldsV1": {"f:spec": {}},
            })
        })
        .collect();
    object.set(&["metadata", "managedFields"], kept.into());
}

#[cfg(test)]
mod tests;
