//! The decision that replica sets and replication controllers share.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use super::{claim, rank};
use crate::action::{Action, Propagation, Reference, Report};
use crate::condition;
use crate::controller::{Decision, Failure, Status};
use crate::pod;
use crate::resources::{PODS, REPLICA_SETS};
use crate::snapshot::Snapshot;

/// Most pods made or removed by one decision. Source: `replica_set.go`, `BurstReplicas`.
const BURST_REPLICAS: usize = 500;
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// What the decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The replica set or replication controller.
    pub owner: Arc<Object>,
    /// Its active pods, and the patches that adopt and release.
    pub pods: claim::Claims,
    /// Its pods that are on their way out.
    pub terminating: usize,
    /// The active pods of its siblings too; read only when there are pods to spare.
    pub related: Vec<Arc<Object>>,
}

pub(super) fn concerns(
    snapshot: &dyn Snapshot,
    subject: &Resource,
    resource: &Resource,
    object: &Object,
) -> Vec<Key> {
    if resource == subject {
        return vec![object.key()];
    }
    claim::concerned_owners(snapshot, subject, object)
}

pub(super) fn observe(snapshot: &dyn Snapshot, subject: &Resource, key: &Key) -> Option<Observed> {
    let owner = snapshot.get(subject, key)?;
    let Some(selector) = claim::selector_of(&owner) else {
        return Some(Observed {
            owner,
            pods: claim::Claims::default(),
            terminating: 0,
            related: Vec::new(),
        });
    };
    let candidates = claim::candidates(snapshot, &PODS, &owner);
    let is_owned = |pod: &Object| {
        pod.controller()
            .is_some_and(|of| of.str_at(&["uid"]) == Some(owner.uid()))
            && selector.matches(&pod.labels())
    };
    let terminating = candidates
        .iter()
        .filter(|pod| pod::is_terminating(pod) && is_owned(pod))
        .count();
    let active: Vec<_> = candidates
        .into_iter()
        .filter(|pod| pod::is_active(pod))
        .collect();
    let pods = claim::claim(subject, &owner, &selector, &PODS, &active, None);
    let related = if pods.owned.len() > wanted(&owner) {
        related_pods(snapshot, subject, &owner)
    } else {
        Vec::new()
    };
    Some(Observed {
        owner,
        pods,
        terminating,
        related,
    })
}

/// The active pods of every replica set with the same controller, this one among them.
fn related_pods(snapshot: &dyn Snapshot, subject: &Resource, owner: &Object) -> Vec<Arc<Object>> {
    let siblings = match owner
        .controller()
        .and_then(|parent| parent.str_at(&["uid"]))
    {
        Some(uid) => snapshot.controlled_by(subject, uid),
        None => Vec::new(),
    };
    let mut uids: Vec<&str> = siblings.iter().map(|sibling| sibling.uid()).collect();
    if uids.is_empty() {
        uids.push(owner.uid());
    }
    let pods = uids
        .into_iter()
        .flat_map(|uid| snapshot.controlled_by(&PODS, uid));
    pods.filter(|pod| pod::is_active(pod)).collect()
}

fn wanted(owner: &Object) -> usize {
    usize::try_from(owner.int_at(&["spec", "replicas"]).unwrap_or(1)).unwrap_or_default()
}

pub(super) fn decide(seen: &Observed, subject: &Resource, now: Timestamp) -> Decision {
    let mut decision = Decision {
        actions: seen.pods.actions.clone(),
        ..Decision::default()
    };
    if seen.owner.deletion_timestamp().is_none() {
        decision.actions.extend(manage(seen, subject, now));
    }
    let mut status = calculate(seen, subject, now);
    condition::remove(&mut status, REPLICA_FAILURE);
    decision.status = Some(Status {
        resource: subject.clone(),
        seen: Arc::clone(&seen.owner),
        status,
    });
    decision.wake_at = next_available(seen, now);
    decision
}

/// The creates or deletes that bring the number of pods to the wanted one.
fn manage(seen: &Observed, subject: &Resource, now: Timestamp) -> Vec<Action> {
    let regarding = Reference::new(subject, &seen.owner);
    let (have, want) = (seen.pods.owned.len(), wanted(&seen.owner));
    if have < want {
        let nothing = json!({});
        let template = seen.owner.at(&["spec", "template"]).unwrap_or(&nothing);
        let create = Action::Create {
            resource: PODS,
            object: pod::from_template(subject, &seen.owner, template),
            report: Some(Report::pod_created(regarding)),
        };
        return vec![create; (want - have).min(BURST_REPLICAS)];
    }
    let mut pods = seen.pods.owned.clone();
    if have > want {
        rank::sort_least_wanted_first(&mut pods, &seen.related, now);
    }
    pods.truncate((have - want).min(BURST_REPLICAS));
    let delete = |pod: Arc<Object>| Action::Delete {
        resource: PODS,
        key: pod.key(),
        uid: pod.uid().to_owned(),
        resource_version: None,
        grace_seconds: None,
        propagation: Some(Propagation::Background),
        report: Some(Report::pod_deleted(regarding.clone())),
    };
    pods.into_iter().map(delete).collect()
}

/// Counts; the conditions stay as they were.
fn calculate(seen: &Observed, subject: &Resource, now: Timestamp) -> Value {
    let owner = &seen.owner;
    let min_ready_seconds = owner
        .int_at(&["spec", "minReadySeconds"])
        .unwrap_or_default();
    let template = owner
        .at(&["spec", "template"])
        .map(ObjectExt::labels)
        .unwrap_or_default();
    let labelled = meta::selector::LabelSelector::from_labels(&template);
    let count = |is: &dyn Fn(&Object) -> bool| seen.pods.owned.iter().filter(|pod| is(pod)).count();
    let mut status = json!({
        "replicas": seen.pods.owned.len(), "observedGeneration": owner.generation(),
    });
    let counts = [
        (
            "fullyLabeledReplicas",
            count(&|pod| labelled.matches(&pod.labels())),
        ),
        ("readyReplicas", count(&pod::is_ready)),
        (
            "availableReplicas",
            count(&|pod| pod::is_available(pod, min_ready_seconds, now)),
        ),
    ];
    for (field, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        status.set(&[field], count.into());
    }
    if *subject == REPLICA_SETS {
        status.set(&["terminatingReplicas"], seen.terminating.into());
    }
    if let Some(conditions) = owner.at(&["status", "conditions"]) {
        status.set(&["conditions"], conditions.clone());
    }
    status
}

/// When the next ready pod has been ready for long enough.
fn next_available(seen: &Observed, now: Timestamp) -> Option<Timestamp> {
    let min_ready_seconds = seen
        .owner
        .int_at(&["spec", "minReadySeconds"])
        .unwrap_or_default();
    let pods = seen.pods.owned.iter();
    let times = pods.filter_map(|pod| pod::available_at(pod, min_ready_seconds));
    times.filter(|at| *at > now).min()
}

pub(super) fn failed(
    seen: &Observed,
    subject: &Resource,
    failure: &Failure,
    now: Timestamp,
) -> Option<Decision> {
    let reason = match decide(seen, subject, now).actions.get(failure.index)? {
        Action::Create { .. } => "FailedCreate",
        Action::Delete { .. } => "FailedDelete",
        Action::Patch { .. } | Action::Event(_) => return None,
    };
    let mut status = calculate(seen, subject, now);
    if condition::find(&status, REPLICA_FAILURE).is_none() {
        let message = &failure.message;
        condition::set(
            &mut status,
            REPLICA_FAILURE,
            "True",
            reason,
            message,
            now,
            &[],
        );
    }
    Some(Decision {
        status: Some(Status {
            resource: subject.clone(),
            seen: Arc::clone(&seen.owner),
            status,
        }),
        ..Decision::default()
    })
}
