//! Objects whose owners are gone, and owners that wait for their dependents.
//!
//! Source: `pkg/controller/garbagecollector`. The subject is any object of any kind, known by its metadata alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use meta::{Key, Object, ObjectExt, Resource};
use serde_json::Value;

use crate::action::{Action, Event, Propagation, Reference, edited, update};
use crate::controller::Decision;
use crate::snapshot::Snapshot;

mod graph;
#[cfg(test)]
mod tests;

pub use graph::Graph;

/// The controller's name, as it stands in events.
pub const NAME: &str = "garbage-collector-controller";
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// An object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What it is.
    pub resource: Resource,
    /// Where it is.
    pub key: Key,
}

/// An owner as an object names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// The reference.
    pub reference: Value,
    /// What is known of it.
    pub state: OwnerState,
}

/// What is known of an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerState {
    /// It is there, or cannot be judged: the object stays.
    Solid,
    /// It is being deleted and waits for its dependents to go first.
    Waiting,
    /// It is gone.
    Absent,
    /// The caches do not have it: somebody must look.
    Unseen(Subject),
    /// It is named from where it cannot be; `true` when it counts as gone.
    Misplaced(bool),
}

/// What the decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// What the object is.
    pub resource: Resource,
    /// The object.
    pub object: Arc<Object>,
    /// Its owners.
    pub owners: Vec<Owner>,
    /// The objects that name it as an owner.
    pub dependents: Vec<(Resource, Arc<Object>)>,
}

/// Owners that somebody looked for.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// Uids of owners that are gone for good.
    pub absent: BTreeSet<String>,
    /// Uids of owners that were there a moment ago.
    pub present: BTreeSet<String>,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Carry this out.
    Act(Decision),
    /// Look whether these owners, with these uids, are there, and decide again.
    Look(Vec<(Subject, String)>),
}

/// What there is to know about an object; `None` when it is gone.
pub fn observe(
    graph: &Graph,
    snapshot: &dyn Snapshot,
    subject: &Subject,
    looked: &Looked,
) -> Option<Observed> {
    let object = snapshot.get(&subject.resource, &subject.key)?;
    let owners = object.owner_references().iter().map(|reference| Owner {
        state: owner_state(graph, snapshot, &object, reference, looked),
        reference: reference.clone(),
    });
    let owners = owners.collect();
    let dependents = graph.dependents(object.uid()).filter_map(|dependent| {
        let object = snapshot.get(&dependent.resource, &dependent.key)?;
        Some((dependent.resource.clone(), object))
    });
    let dependents = dependents.collect();
    Some(Observed {
        resource: subject.resource.clone(),
        object,
        owners,
        dependents,
    })
}

fn owner_state(
    graph: &Graph,
    snapshot: &dyn Snapshot,
    object: &Object,
    reference: &Value,
    looked: &Looked,
) -> OwnerState {
    let uid = reference.str_at(&["uid"]).unwrap_or_default();
    let Some(owner) = graph.owner(object, reference) else {
        // A kind that nobody serves: upstream tries again later and deletes nothing either.
        return OwnerState::Solid;
    };
    if owner.resource.is_namespaced && object.namespace().is_empty() {
        return OwnerState::Misplaced(false);
    }
    if looked.absent.contains(uid) {
        return OwnerState::Absent;
    }
    match snapshot.get(&owner.resource, &owner.key) {
        Some(known) if known.uid() == uid => {
            if known.deletion_timestamp().is_some() && known.finalizers().contains(&FOREGROUND) {
                OwnerState::Waiting
            } else {
                OwnerState::Solid
            }
        }
        _ if looked.present.contains(uid) => OwnerState::Solid,
        _ if owner.resource.is_namespaced && graph.is_elsewhere(uid, object.namespace()) => {
            OwnerState::Misplaced(true)
        }
        _ => OwnerState::Unseen(owner),
    }
}

/// Decides about one object.
pub fn decide(seen: &Observed) -> Verdict {
    if seen.object.deletion_timestamp().is_some() {
        return Verdict::Act(leaving(seen));
    }
    let unseen = seen.owners.iter().filter_map(|owner| match &owner.state {
        OwnerState::Unseen(subject) => {
            let uid = owner.reference.str_at(&["uid"]).unwrap_or_default();
            Some((subject.clone(), uid.to_owned()))
        }
        _ => None,
    });
    let unseen: Vec<_> = unseen.collect();
    if !unseen.is_empty() {
        return Verdict::Look(unseen);
    }
    let mut decision = Decision {
        actions: misplaced(seen),
        ..Decision::default()
    };
    if !seen.owners.is_empty() {
        decision.actions.extend(judge(seen, &mut decision.why));
    }
    Verdict::Act(decision)
}

/// What to do about an object whose owners are all known.
fn judge(seen: &Observed, why: &mut Vec<String>) -> Vec<Action> {
    let is_solid = |owner: &Owner| {
        matches!(
            owner.state,
            OwnerState::Solid | OwnerState::Misplaced(false)
        )
    };
    if seen.owners.iter().any(is_solid) {
        let mut kept = seen.object.owner_references().to_vec();
        let gone: Vec<&Value> = seen
            .owners
            .iter()
            .filter(|owner| !is_solid(owner))
            .map(|owner| &owner.reference)
            .collect();
        if gone.is_empty() {
            return Vec::new();
        }
        why.push("some owners are gone, some are not: the object forgets the former".to_owned());
        kept.retain(|reference| !gone.contains(&reference));
        return with_owners(seen, kept).into_iter().collect();
    }
    let is_awaited = seen
        .owners
        .iter()
        .any(|owner| owner.state == OwnerState::Waiting);
    if is_awaited && !seen.dependents.is_empty() {
        why.push("an owner waits for it, and it has dependents of its own".to_owned());
        let is_chained = seen.dependents.iter().any(|(_, dependent)| {
            dependent.deletion_timestamp().is_some() && dependent.finalizers().contains(&FOREGROUND)
        });
        if is_chained {
            // Owners that wait for each other in a circle would wait for ever.
            let mut references = seen.object.owner_references().to_vec();
            for reference in &mut references {
                reference.set(&["blockOwnerDeletion"], false.into());
            }
            let freed = with_owners(seen, references);
            if freed.is_some() {
                return freed.into_iter().collect();
            }
        }
        return vec![remove(seen, Propagation::Foreground)];
    }
    why.push("its owners are gone".to_owned());
    let finalizers = seen.object.finalizers();
    let propagation = if finalizers.contains(&ORPHAN) {
        Propagation::Orphan
    } else if finalizers.contains(&FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    };
    vec![remove(seen, propagation)]
}

/// What an object on its way out needs done first.
fn leaving(seen: &Observed) -> Decision {
    let mut decision = Decision::default();
    let finalizers = seen.object.finalizers();
    let uid = seen.object.uid();
    if finalizers.contains(&ORPHAN) {
        decision
            .why
            .push("its dependents lose it before it goes".to_owned());
        for (resource, dependent) in &seen.dependents {
            let freed = edited(dependent, |dependent| {
                let mut kept = dependent.owner_references().to_vec();
                kept.retain(|reference| reference.str_at(&["uid"]) != Some(uid));
                set_owners(dependent, kept);
            });
            decision.actions.extend(update(resource, dependent, &freed));
        }
        decision.actions.extend(without_finalizer(seen, ORPHAN));
    } else if finalizers.contains(&FOREGROUND) {
        let blocks = |(_, dependent): &(Resource, Arc<Object>)| {
            dependent.owner_references().iter().any(|reference| {
                reference.str_at(&["uid"]) == Some(uid)
                    && reference.bool_at(&["blockOwnerDeletion"]) == Some(true)
            })
        };
        if !seen.dependents.iter().any(blocks) {
            decision
                .why
                .push("no dependent holds it back any more".to_owned());
            decision.actions.extend(without_finalizer(seen, FOREGROUND));
        }
    }
    decision
}

fn without_finalizer(seen: &Observed, finalizer: &str) -> Option<Action> {
    let freed = edited(&seen.object, |object| {
        let kept: Vec<Value> = object
            .finalizers()
            .into_iter()
            .filter(|known| *known != finalizer)
            .map(Value::from)
            .collect();
        if kept.is_empty() {
            object.remove(&["metadata", "finalizers"]);
        } else {
            object.set(&["metadata", "finalizers"], Value::Array(kept));
        }
    });
    update(&seen.resource, &seen.object, &freed)
}

fn with_owners(seen: &Observed, references: Vec<Value>) -> Option<Action> {
    let changed = edited(&seen.object, |object| set_owners(object, references));
    update(&seen.resource, &seen.object, &changed)
}

fn set_owners(object: &mut Object, references: Vec<Value>) {
    if references.is_empty() {
        object.remove(&["metadata", "ownerReferences"]);
    } else {
        object.set(&["metadata", "ownerReferences"], Value::Array(references));
    }
}

fn remove(seen: &Observed, propagation: Propagation) -> Action {
    Action::Delete {
        resource: seen.resource.clone(),
        key: seen.object.key(),
        uid: seen.object.uid().to_owned(),
        resource_version: Some(seen.object.resource_version().to_owned()),
        grace_seconds: None,
        propagation: Some(propagation),
        report: None,
    }
}

/// Warnings about owners that are named from where they cannot be.
fn misplaced(seen: &Observed) -> Vec<Action> {
    let odd = seen
        .owners
        .iter()
        .filter(|owner| matches!(owner.state, OwnerState::Misplaced(_)));
    let warn = |owner: &Owner| {
        let text = |field: &str| owner.reference.str_at(&[field]).unwrap_or_default();
        let namespace = seen.object.namespace();
        let message = format!(
            "ownerRef [{}/{}, namespace: {namespace}, name: {}, uid: {}] does not exist in namespace {}",
            text("apiVersion"),
            text("kind"),
            text("name"),
            text("uid"),
            meta::field::quote(namespace)
        );
        let regarding = Reference::new(&seen.resource, &seen.object);
        Action::Event(Event::warning(
            regarding,
            "OwnerRefInvalidNamespace",
            message,
        ))
    };
    odd.map(warn).collect()
}
