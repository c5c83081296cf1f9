//! A snapshot of given objects, and builders, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Report};
use crate::controller::{Controller, Decision};
use crate::snapshot::{Settings, Snapshot};

/// The objects of a small world.
pub(crate) struct World(
    BTreeMap<(Resource, Key), Arc<Object>>,
    Settings,
    usize,
    BTreeMap<Key, SignedDuration>,
);

impl World {
    pub(crate) fn new(objects: impl IntoIterator<Item = (Resource, Object)>) -> Self {
        let settings = Settings {
            watching_since: time(0),
            root_ca: Some("CA".into()),
            api_address: Some(([192, 0, 2, 1], 6443).into()),
        };
        let mut world = Self(BTreeMap::new(), settings, 0, BTreeMap::new());
        for (resource, object) in objects {
            world.put(&resource, object);
        }
        world
    }
    pub(crate) fn put(&mut self, resource: &Resource, object: Object) {
        self.0
            .insert((resource.clone(), object.key()), Arc::new(object));
    }
    /// Says for how many seconds a lease has not changed.
    pub(crate) fn unchanged(&mut self, key: Key, seconds: i64) {
        self.3.insert(key, SignedDuration::from_secs(seconds));
    }
    pub(crate) fn remove(&mut self, resource: &Resource, key: &Key) {
        self.0.remove(&(resource.clone(), key.clone()));
    }
    /// Decides and performs until nothing is left to do; returns what was decided in each round.
    pub(crate) fn settle<C: Controller>(&mut self, key: &Key, now: Timestamp) -> Vec<Decision> {
        let mut rounds = Vec::new();
        for _ in 0..50 {
            let Some(seen) = C::observe(self, key) else {
                break;
            };
            let decision = C::decide(&seen, now);
            if !self.perform(&decision) {
                break;
            }
            rounds.push(decision);
        }
        rounds
    }
    /// Performs a decision; says whether anything changed.
    pub(crate) fn perform(&mut self, decision: &Decision) -> bool {
        let mut changed = false;
        for action in &decision.actions {
            changed |= self.act(action);
        }
        if let Some(status) = &decision.status {
            let at = (status.resource.clone(), status.seen.key());
            if let Some(object) = self.0.get_mut(&at)
                && object.get("status") != Some(&status.status)
            {
                Arc::make_mut(object).set(&["status"], status.status.clone());
                changed = true;
            }
        }
        changed
    }
    fn act(&mut self, action: &Action) -> bool {
        match action {
            Action::Create {
                resource, object, ..
            } => {
                let mut object = object.clone();
                if object.name().is_empty() {
                    let prefix = object
                        .str_at(&["metadata", "generateName"])
                        .unwrap_or_default();
                    self.2 += 1;
                    let name = format!("{prefix}{}", self.2);
                    object.set(&["metadata", "name"], name.into());
                }
                let uid = format!("uid-{}", object.name());
                object.set(&["metadata", "uid"], uid.into());
                object.set(&["metadata", "generation"], 1.into());
                object.set(
                    &["metadata", "creationTimestamp"],
                    time(0).to_string().into(),
                );
                self.put(resource, object);
            }
            Action::Patch {
                resource,
                key,
                patch,
                ..
            } => {
                let object = self.0.get_mut(&(resource.clone(), key.clone())).unwrap();
                merge(Arc::make_mut(object), patch);
            }
            Action::Delete { resource, key, .. } => {
                self.0.remove(&(resource.clone(), key.clone())).unwrap();
            }
            Action::Event(_) => return false,
        }
        true
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    for (field, value) in fields {
        if value.is_null() {
            target.remove(&[field]);
        } else if value.is_object() {
            let mut child = target.get(field).cloned().unwrap_or_else(|| json!({}));
            merge(&mut child, value);
            target.set(&[field], child);
        } else {
            target.set(&[field], value.clone());
        }
    }
}

impl Snapshot for World {
    fn settings(&self) -> &Settings {
        &self.1
    }
    fn get(&self, resource: &Resource, key: &Key) -> Option<Arc<Object>> {
        self.0.get(&(resource.clone(), key.clone())).cloned()
    }
    fn list(&self, resource: &Resource, namespace: &str) -> Vec<Arc<Object>> {
        let all = self.0.iter().filter(|((known, _), _)| known == resource);
        all.filter(|((_, key), _)| namespace.is_empty() || key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }
    fn count(&self, resource: &str, namespace: &str) -> Option<usize> {
        let is_one = |(known, key): &&(Resource, Key)| {
            known.group_resource().to_string() == resource && key.namespace == namespace
        };
        let is_served = !resource.ends_with(".example.com");
        is_served.then(|| self.0.keys().filter(is_one).count())
    }
    fn controlled_by(&self, resource: &Resource, uid: &str) -> Vec<Arc<Object>> {
        let mut all = self.list(resource, "");
        all.retain(|object| {
            object
                .controller()
                .and_then(|owner| owner.str_at(&["uid"]))
                .unwrap_or_default()
                == uid
        });
        all
    }
    fn on_node(&self, resource: &Resource, node: &str) -> Vec<Arc<Object>> {
        let mut all = self.list(resource, "");
        all.retain(|object| crate::pod::node_name(object) == node);
        all
    }
    fn unchanged_for(&self, _: &Resource, key: &Key) -> Option<SignedDuration> {
        self.3.get(key).copied()
    }
}

/// So many seconds after a fixed start.
pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// The messages of a decision's events.
pub(crate) fn events(decision: &Decision) -> Vec<String> {
    let event = |action: &Action| match action {
        Action::Event(event) => Some(format!("{}: {}", event.reason, event.message)),
        _ => None,
    };
    decision.actions.iter().filter_map(event).collect()
}

/// The events of a decision all of whose creates and deletes go well.
pub(crate) fn events_when_done(decision: &Decision) -> Vec<String> {
    let done = |report: &Option<Report>, name: &str| Some(report.as_ref()?.done(name));
    let event = |action: &Action| {
        let event = match action {
            Action::Event(event) => Some(event.clone()),
            Action::Create { object, report, .. } => done(report, object.name()),
            Action::Delete { key, report, .. } => done(report, &key.name),
            Action::Patch { .. } => None,
        };
        event.map(|event| format!("{}: {}", event.reason, event.message))
    };
    decision.actions.iter().filter_map(event).collect()
}

/// A pod of the replica set `owner` on a node, ready since a time.
pub(crate) fn pod(name: &str, owner: &str, node: &str, ready: Option<i64>) -> Object {
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"), "labels": { "app": "web" },
            "creationTimestamp": time(0).to_string(),
        },
        "spec": { "nodeName": node },
        "status": { "phase": if node.is_empty() { "Pending" } else { "Running" } },
    });
    if !owner.is_empty() {
        let owner = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": format!("uid-{owner}"),
            "controller": true,
        });
        pod.set(&["metadata", "ownerReferences"], json!([owner]));
    }
    if let Some(ready) = ready {
        let condition = json!({
            "type": "Ready", "status": "True", "lastTransitionTime": time(ready).to_string(),
        });
        pod.set(&["status", "conditions"], json!([condition]));
    }
    pod
}
