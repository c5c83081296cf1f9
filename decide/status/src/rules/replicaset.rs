//! `ReplicaSets` and `ReplicationControllers`: the rules of Deployments without revisions.

use serde_json::Value;

use super::common;
use super::deployment::{creating, creation_draft, settling_or_starting};
use super::fleet::{Fleet, Replicas, Revision, Terminating};
use crate::creation;
use crate::field;
use crate::scene::{Draft, Scene};
use crate::verdict::Severity;

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let fleet = Fleet::new(
        scene,
        replicas(scene.subject),
        Revision::Any,
        Terminating::Replaced,
    );
    let draft = common::deletion(scene)
        .or_else(|| common::unobserved(scene))
        .or_else(|| common::unreadable(scene))
        .or_else(|| fleet.lost_pods())
        .or_else(|| fleet.zero())
        .or_else(|| creation_failed(&fleet))
        .or_else(|| blocked(&fleet))
        .or_else(|| moving(&fleet))
        .or_else(|| short(&fleet))
        .unwrap_or_else(|| fleet.healthy());
    draft.counts(fleet.counts())
}

fn replicas(subject: &Value) -> Replicas {
    let current = field::count(subject, "status.replicas");
    let ready = field::count(subject, "status.readyReplicas");
    Replicas {
        desired: field::int(subject, "spec.replicas").unwrap_or(1).max(0),
        current,
        updated: current,
        ready,
        // Some objects count more available than ready; the smaller one counts.
        available: field::count(subject, "status.availableReplicas").min(ready),
    }
}

/// The controller reports that pods cannot be created; a newer event tells better why.
fn creation_failed(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let subject = fleet.scene.subject;
    let failure = field::condition(subject, "ReplicaFailure")?;
    let reason = field::text(failure, "reason");
    let stands = field::text(failure, "status") == "True"
        && reason != "FailedDelete"
        && (fleet.n.current < fleet.n.desired || reason.is_empty());
    if !stands {
        return None;
    }
    let written = field::time(failure, "lastTransitionTime");
    let raw = fleet
        .scene
        .events
        .warning(subject, &["FailedCreate"])
        .filter(|event| event.at > written)
        .map_or_else(|| field::text(failure, "message"), |event| event.message);
    Some(creation_draft(
        fleet,
        creation::reason(raw),
        "ReplicaFailure",
        raw,
    ))
}

fn blocked(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let is_short = fleet.effective < fleet.n.desired;
    let groups = fleet.groups(fleet.blocked(is_short));
    let mut draft = fleet.blocked_draft(&groups)?;
    if !is_short {
        draft.severity = Severity::Warning;
    }
    Some(draft)
}

fn moving(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let n = &fleet.n;
    if n.current < n.desired {
        return Some(creating(fleet));
    }
    (n.current > n.desired).then(|| fleet.wait("ScalingDown", "Scaling down", "缩容中"))
}

fn short(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.n.ready.min(fleet.effective) >= fleet.n.desired {
        return None;
    }
    if let Some(draft) = settling_or_starting(fleet) {
        return Some(draft);
    }
    let recent = !fleet.pods_known() && common::changed_recently(fleet.scene, fleet.start_grace());
    Some(if recent {
        fleet.starting()
    } else {
        fleet.short("ReplicasUnavailable")
    })
}
