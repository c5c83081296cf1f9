//! The status of a deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

use jiff::{SignedDuration, Timestamp};
use meta::ObjectExt;
use meta::field::quote;
use serde_json::{Value, json};

use super::plan::{Plan, Set};
use crate::condition;

const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// Sets a condition, with the update time that deployments have.
pub(super) fn set(
    status: &mut Value,
    condition_type: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    condition::set(
        status,
        condition_type,
        value,
        reason,
        message,
        now,
        &["lastUpdateTime"],
    );
}

fn reason_of<'a>(status: &'a Value, condition_type: &str) -> Option<&'a str> {
    condition::find(status, condition_type).and_then(|known| known.str_at(&["reason"]))
}

/// Notes that a deployment was paused or resumed, so that the time in between does not count as lack of progress.
pub(super) fn check_paused(plan: &mut Plan<'_>) {
    let reason = reason_of(&plan.status, PROGRESSING);
    if plan.spec.progress_deadline_seconds.is_none() || reason == Some(TIMED_OUT) {
        return;
    }
    let was_paused = reason == Some(PAUSED);
    let now = plan.now;
    if plan.spec.is_paused && !was_paused {
        set(
            &mut plan.status,
            PROGRESSING,
            "Unknown",
            PAUSED,
            "Deployment is paused",
            now,
        );
    } else if !plan.spec.is_paused && was_paused {
        let reason = "DeploymentResumed";
        set(
            &mut plan.status,
            PROGRESSING,
            "Unknown",
            reason,
            "Deployment is resumed",
            now,
        );
    }
}

/// Counts, and whether enough pods are available.
pub(super) fn calculate(plan: &Plan<'_>) -> Value {
    let sum = |field: &str| plan.sets().map(|set| set.count(field)).sum::<i64>();
    let available = plan.available();
    let mut status = json!({ "observedGeneration": plan.deployment().generation() });
    let counts = [
        ("replicas", sum("replicas")),
        (
            "updatedReplicas",
            plan.new.as_ref().map_or(0, |new| new.count("replicas")),
        ),
        ("readyReplicas", sum("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (plan.total() - available).max(0)),
    ];
    for (field, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        status.set(&[field], count.into());
    }
    if let Some(terminating) = terminating(plan) {
        status.set(&["terminatingReplicas"], terminating.into());
    }
    for field in ["collisionCount", "conditions"] {
        if let Some(value) = plan.status.at(&[field]) {
            status.set(&[field], value.clone());
        }
    }
    let (value, reason, message) = if available >= plan.spec.replicas - plan.spec.max_unavailable()
    {
        (
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        let message = "Deployment does not have minimum availability.";
        ("False", "MinimumReplicasUnavailable", message)
    };
    set(&mut status, "Available", value, reason, message, plan.now);
    status
}

/// Pods on their way out; `None` while a replica set that was seen by its controller has not counted them.
fn terminating(plan: &Plan<'_>) -> Option<i64> {
    let count = |set: &Set| match set.seen.int_at(&["status", "terminatingReplicas"]) {
        None if set.count("observedGeneration") == 0 => Some(0),
        counted => counted,
    };
    plan.sets().map(count).sum()
}

/// Whether every wanted pod is new and available, and no old one is left.
pub(super) fn is_complete(plan: &Plan<'_>, status: &Value) -> bool {
    let is_whole = |field| status.int_at(&[field]).unwrap_or_default() == plan.spec.replicas;
    is_whole("updatedReplicas")
        && is_whole("replicas")
        && is_whole("availableReplicas")
        && status.int_at(&["observedGeneration"]).unwrap_or_default()
            >= plan.deployment().generation()
}

/// Whether anything moved forward since the last status.
fn is_progressing(before: &Value, status: &Value) -> bool {
    let count = |status: &Value, field| status.int_at(&[field]).unwrap_or_default();
    let old = |status: &Value| count(status, "replicas") - count(status, "updatedReplicas");
    let grew = |field| count(status, field) > count(before, field);
    grew("updatedReplicas")
        || old(status) < old(before)
        || grew("readyReplicas")
        || grew("availableReplicas")
}

/// The time after which a rollout without progress counts as failed.
fn deadline(plan: &Plan<'_>, status: &Value) -> Option<Timestamp> {
    let seconds = plan.spec.progress_deadline_seconds?;
    let updated = condition::find(status, PROGRESSING)?.str_at(&["lastUpdateTime"])?;
    let updated = meta::time::from_rfc3339(updated)?;
    updated.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Writes the status of a rollout, its progress and the failures of its replica sets.
pub(super) fn sync_rollout(plan: &mut Plan<'_>) {
    let before = plan.status.clone();
    let mut status = calculate(plan);
    if plan.spec.progress_deadline_seconds.is_none() {
        condition::remove(&mut status, PROGRESSING);
    } else {
        judge_progress(plan, &before, &mut status);
    }
    match replica_failure(plan) {
        Some(failure) => copy_failure(&mut status, &failure),
        None => condition::remove(&mut status, REPLICA_FAILURE),
    }
    // Once a rollout was complete, or has failed, time alone changes nothing; see [`has_timed_out`].
    let is_over = matches!(
        reason_of(&status, PROGRESSING),
        Some(TIMED_OUT | NEW_AVAILABLE)
    );
    if !is_complete(plan, &status)
        && !is_over
        && let Some(deadline) = deadline(plan, &status)
    {
        // A second more, so that whole-second times are past and not merely reached.
        let at = deadline
            .saturating_add(SignedDuration::from_secs(1))
            .unwrap_or(deadline);
        plan.decision.wake(at.max(plan.now));
    }
    plan.status = status;
}

fn judge_progress(plan: &Plan<'_>, before: &Value, status: &mut Value) {
    let count = |field| status.int_at(&[field]).unwrap_or_default();
    let is_done = reason_of(before, PROGRESSING) == Some(NEW_AVAILABLE);
    if is_done && count("replicas") == count("updatedReplicas") {
        return;
    }
    let subject = match &plan.new {
        Some(new) => format!("ReplicaSet {}", quote(new.name())),
        None => format!("Deployment {}", quote(plan.deployment().name())),
    };
    let now = plan.now;
    if is_complete(plan, status) {
        let message = format!("{subject} has successfully progressed.");
        set(status, PROGRESSING, "True", NEW_AVAILABLE, &message, now);
    } else if is_progressing(before, status) {
        note_progress(before, status, &format!("{subject} is progressing."), now);
    } else if has_timed_out(plan, status) {
        let message = format!("{subject} has timed out progressing.");
        set(status, PROGRESSING, "False", TIMED_OUT, &message, now);
    }
}

/// Progress with the same reason as before still moves the update time: the deadline counts from there.
fn note_progress(before: &Value, status: &mut Value, message: &str, now: Timestamp) {
    let since = condition::find(before, PROGRESSING)
        .filter(|known| known.str_at(&["status"]) == Some("True"))
        .and_then(|known| known.str_at(&["lastTransitionTime"]))
        .map(str::to_owned);
    condition::remove(status, PROGRESSING);
    let text = meta::time::to_rfc3339(now);
    let known = json!({
        "type": PROGRESSING, "status": "True", "reason": "ReplicaSetUpdated", "message": message,
        "lastUpdateTime": text, "lastTransitionTime": since.unwrap_or_else(|| text.clone()),
    });
    condition::put(status, known);
}

fn has_timed_out(plan: &Plan<'_>, status: &Value) -> bool {
    match reason_of(status, PROGRESSING) {
        None | Some(NEW_AVAILABLE) => false,
        Some(TIMED_OUT) => true,
        Some(_) => deadline(plan, status).is_some_and(|deadline| deadline < plan.now),
    }
}

/// The failure of the new replica set, else of any.
fn replica_failure(plan: &Plan<'_>) -> Option<Value> {
    let failure = |set: &Set| condition::find(set.seen.get("status")?, REPLICA_FAILURE).cloned();
    plan.new
        .as_ref()
        .and_then(failure)
        .or_else(|| plan.old.iter().find_map(failure))
}

fn copy_failure(status: &mut Value, failure: &Value) {
    let same = |field: &str| {
        let known = condition::find(status, REPLICA_FAILURE);
        known.and_then(|known| known.str_at(&[field])) == failure.str_at(&[field])
    };
    if same("status") && same("reason") {
        return;
    }
    let mut copy = failure.clone();
    if let Some(since) = failure.at(&["lastTransitionTime"]) {
        copy.set(&["lastUpdateTime"], since.clone());
    }
    condition::put(status, copy);
}
