//! What is known about one subject, unpacked for an evaluation.

use std::collections::BTreeSet;
use std::sync::Arc;

use meta::ObjectExt;
use serde_json::Value;
use status::Related;

use super::{Id, Name, Reading, Slot, World, names, node_of};
use crate::discover::Role;

/// A subject and the objects around it.
#[derive(Debug, Default)]
pub struct Around {
    subject: Value,
    pods: Option<Vec<Value>>,
    replica_sets: Option<Vec<Value>>,
    jobs: Option<Vec<Value>>,
    nodes: Option<Vec<Arc<Value>>>,
    events: Option<Vec<Value>>,
    pods_error: Option<String>,
    subject_error: Option<String>,
}

impl Around {
    /// The object to judge.
    pub fn subject(&self) -> &Value {
        &self.subject
    }

    /// The engine's view of what is around it.
    pub fn related(&self) -> Related<'_> {
        Related {
            pods: listed(self.pods.as_deref()),
            replica_sets: listed(self.replica_sets.as_deref()),
            jobs: listed(self.jobs.as_deref()),
            nodes: self
                .nodes
                .as_ref()
                .map(|nodes| nodes.iter().map(|node| &**node).collect()),
            events: listed(self.events.as_deref()),
            pods_error: self.pods_error.clone(),
            subject_error: self.subject_error.clone(),
        }
    }
}

impl World {
    /// A subject with what is known about it; `None` when it is not there.
    pub fn around(&self, id: &Id) -> Option<Around> {
        let subject = self.get(id)?;
        let direct: Vec<(usize, Value)> = self.controlled(names(&subject));
        let indirect: Vec<(usize, Value)> = direct
            .iter()
            .filter(|(kind, _)| self.role(*kind) == Role::Workload)
            .flat_map(|(_, part)| self.controlled(names(part)))
            .collect();
        let events = self.events(
            std::iter::once(&subject).chain(direct.iter().chain(&indirect).map(|(_, part)| part)),
        );
        let (mut pods, mut replica_sets, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
        for (is_direct, (kind, part)) in direct
            .into_iter()
            .map(|part| (true, part))
            .chain(indirect.into_iter().map(|part| (false, part)))
        {
            match (self.role(kind), part.kind()) {
                (Role::Pod, _) => pods.push(part),
                (_, "ReplicaSet") if is_direct => replica_sets.push(part),
                (_, "Job") if is_direct => jobs.push(part),
                _ => {}
            }
        }
        let of_kind = |kind: &str, found: Vec<Value>| {
            let index = self.index_of(kind)?;
            (self.reading(index) == &Reading::Known).then_some(found)
        };
        let pods_reading = self
            .index_of_role(Role::Pod)
            .map(|index| self.reading(index));
        let nodes = if self.role(id.0) == Role::Pod {
            self.nodes(std::iter::once(&subject))
        } else {
            self.nodes(pods.iter())
        };
        Some(Around {
            nodes,
            events,
            replica_sets: of_kind("ReplicaSet", replica_sets),
            jobs: of_kind("Job", jobs),
            pods: (pods_reading == Some(&Reading::Known)).then_some(pods),
            pods_error: pods_reading.and_then(failure),
            subject_error: self.silence.clone().or_else(|| failure(self.reading(id.0))),
            subject,
        })
    }

    fn index_of_role(&self, role: Role) -> Option<usize> {
        self.followed
            .iter()
            .position(|followed| followed.role == role)
    }

    fn unpacked(&self, slot: Slot) -> Option<(usize, Value)> {
        let entry = self.entry(slot)?;
        Some((entry.kind, entry.packed.unpack()))
    }

    fn controlled(&self, uids: impl Iterator<Item = Name>) -> Vec<(usize, Value)> {
        uids.filter_map(|uid| self.by_owner.get(&uid))
            .flatten()
            .filter_map(|slot| self.unpacked(*slot))
            .collect()
    }

    fn events<'w>(&self, about: impl Iterator<Item = &'w Value>) -> Option<Vec<Value>> {
        let index = self.index_of_role(Role::Event)?;
        if self.reading(index) != &Reading::Known {
            return None;
        }
        if self.events_of.is_empty() {
            return Some(Vec::new());
        }
        let names = about.flat_map(|object| {
            let plain = Name::plain(object.kind(), object.namespace(), object.name());
            names(object).chain([plain])
        });
        let slots = names.filter_map(|name| self.events_of.get(&name)).flatten();
        Some(
            slots
                .filter_map(|slot| Some(self.unpacked(*slot)?.1))
                .collect(),
        )
    }

    /// The nodes of some pods as far as they exist; all nodes when a pod has none, since the
    /// scheduler's refusal is about all of them.
    fn nodes<'w>(
        &self,
        mut pods: impl Iterator<Item = &'w Value> + Clone,
    ) -> Option<Vec<Arc<Value>>> {
        let index = self.index_of_role(Role::Node)?;
        if self.reading(index) != &Reading::Known {
            return None;
        }
        if pods.clone().any(|pod| node_of(pod).is_empty()) {
            return Some(self.nodes.values().cloned().collect());
        }
        let names: BTreeSet<&str> = pods.by_ref().map(node_of).collect();
        let found = names.into_iter().filter_map(|name| self.nodes.get(name));
        Some(found.cloned().collect())
    }
}

fn listed(list: Option<&[Value]>) -> Option<Vec<&Value>> {
    list.map(|list| list.iter().collect())
}

/// Why a kind cannot be read, if it could and now cannot.
fn failure(reading: &Reading) -> Option<String> {
    match reading {
        Reading::Failed(why) => Some(why.clone()),
        Reading::Pending | Reading::Known | Reading::Forbidden(_) | Reading::Gone => None,
    }
}
