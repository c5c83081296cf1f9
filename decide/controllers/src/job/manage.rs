//! The decision about a job that exists.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::end::End;
use super::index_limit::{self, index_of};
use super::tally::{Rest, Tally};
use super::{end, is_indexed, is_tracked, make, replaces_only_failed, retry, untrack};
use crate::action::{Action, Event, Propagation, Reference, Report};
use crate::claim::Claims;
use crate::condition;
use crate::controller::{Decision, Status};
use crate::pod;
use crate::resources::{JOBS, PODS};

/// Most pods made by one decision. Source: `MaxPodCreateDeletePerSync`.
const PODS_MAX: usize = 500;

pub(super) fn decide(job: &Arc<Object>, pods: &Claims, now: Timestamp) -> Decision {
    let mut decision = Decision {
        actions: pods.actions.clone(),
        ..Decision::default()
    };
    let mut status = job.get("status").cloned().unwrap_or_else(|| json!({}));
    if ["Complete", "Failed"]
        .iter()
        .any(|kind| condition::is_true(&status, kind))
    {
        let waiting = pods
            .owned
            .iter()
            .filter(|pod| is_tracked(pod) && !pod::is_active(pod));
        decision.actions.extend(waiting.filter_map(untrack));
        return decision;
    }
    let mut tally = Tally::new(job, &pods.owned);
    let is_suspended = job.bool_at(&["spec", "suspend"]) == Some(true);
    if status.at(&["startTime"]).is_none() && !is_suspended {
        status.set(&["startTime"], meta::time::to_rfc3339(now).into());
    }
    let is_leaving = job.deletion_timestamp().is_some();
    let end = (!is_leaving).then(|| end::of(job, &status, &tally, &pods.owned, now));
    let end = end.flatten();
    let rest = match &end {
        Some(end) if end.is_failure => Rest::Fails,
        Some(_) => Rest::Goes,
        None if is_leaving => Rest::Goes,
        None => Rest::Stays,
    };
    tally.settle(job, &pods.owned, rest);
    decision.actions.extend(tally.release.iter().cloned());
    tally.write(&mut status);
    if let Some(end) = end {
        finish(job, &tally, &end, &mut status, &mut decision, now);
    } else if !is_leaving {
        suspension(job, &mut status, is_suspended, &mut decision, now);
        if is_suspended {
            give_up(job, tally.active.iter(), &mut decision);
        } else {
            run(job, &pods.owned, &tally, &mut decision, now);
            if let Some(deadline) = end::deadline(job, &status) {
                decision.wake(deadline);
            }
        }
    }
    let seen = Arc::clone(job);
    decision.status = Some(Status {
        resource: JOBS,
        seen,
        status,
    });
    decision
}

fn event(job: &Object, reason: &'static str, message: &str) -> Action {
    Action::Event(Event::normal(Reference::new(&JOBS, job), reason, message))
}

/// Start time and the condition of jobs that are or were suspended.
fn suspension(
    job: &Object,
    status: &mut Value,
    is_suspended: bool,
    decision: &mut Decision,
    now: Timestamp,
) {
    let was_suspended = condition::is_true(status, "Suspended");
    if is_suspended && !was_suspended {
        condition::set(
            status,
            "Suspended",
            "True",
            "JobSuspended",
            "Job suspended",
            now,
            &["lastProbeTime"],
        );
        status.remove(&["startTime"]);
        decision
            .actions
            .push(event(job, "Suspended", "Job suspended"));
    } else if !is_suspended && was_suspended {
        condition::set(
            status,
            "Suspended",
            "False",
            "JobResumed",
            "Job resumed",
            now,
            &["lastProbeTime"],
        );
        status.set(&["startTime"], meta::time::to_rfc3339(now).into());
        decision.actions.push(event(job, "Resumed", "Job resumed"));
    }
}

fn parallelism(job: &Object) -> i64 {
    job.int_at(&["spec", "parallelism"]).unwrap_or(1)
}

/// Notes how the job ends, and says it for good once every pod has ended and is counted.
fn finish(
    job: &Object,
    tally: &Tally,
    end: &End,
    status: &mut Value,
    decision: &mut Decision,
    now: Timestamp,
) {
    let (reason, message) = (end.reason.as_ref(), end.message.as_ref());
    let times = ["lastProbeTime"];
    let mut set = |kind| {
        condition::set(status, kind, "True", reason, message, now, &times);
    };
    set(end.target());
    decision.actions.extend(remove(job, tally.active.iter()));
    if !tally.active.is_empty() || !tally.terminating.is_empty() || !tally.is_settled() {
        return;
    }
    set(end.condition());
    if end.is_failure {
        let regarding = Reference::new(&JOBS, job);
        let warning = Event::warning(regarding, end.known_reason(), message);
        decision.actions.push(Action::Event(warning));
    } else {
        status.set(&["completionTime"], meta::time::to_rfc3339(now).into());
        let completions = job.int_at(&["spec", "completions"]);
        if completions.is_some_and(|completions| tally.succeeded > completions) {
            let message = "Too many succeeded pods running after completion count reached";
            let regarding = Reference::new(&JOBS, job);
            let warning = Event::warning(regarding, "TooManySucceededPods", message);
            decision.actions.push(Action::Event(warning));
        }
        decision
            .actions
            .push(event(job, "Completed", "Job completed"));
    }
}

/// Removes pods that shall not count as failed. Source: `deleteJobPods`.
fn give_up<'a>(job: &Object, pods: impl Iterator<Item = &'a Arc<Object>>, decision: &mut Decision) {
    for pod in pods {
        decision.actions.extend(untrack(pod));
        decision.actions.extend(remove(job, std::iter::once(pod)));
    }
}

fn remove<'a>(job: &Object, pods: impl Iterator<Item = &'a Arc<Object>>) -> Vec<Action> {
    let regarding = Reference::new(&JOBS, job);
    pods.map(|pod| Action::Delete {
        resource: PODS,
        key: pod.key(),
        uid: pod.uid().to_owned(),
        resource_version: None,
        grace_seconds: None,
        propagation: Some(Propagation::Background),
        report: Some(Report::pod_deleted(regarding.clone())),
    })
    .collect()
}

/// Makes or removes pods so that as many run as are wanted.
fn run(
    job: &Arc<Object>,
    pods: &[Arc<Object>],
    tally: &Tally,
    decision: &mut Decision,
    now: Timestamp,
) {
    let count = |pods: &[Arc<Object>]| i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let active = count(&tally.active);
    let wanted = match job.int_at(&["spec", "completions"]) {
        None if tally.succeeded > 0 => active,
        None => parallelism(job),
        Some(completions) => (completions - tally.succeeded).clamp(0, parallelism(job)),
    };
    let surplus = surplus(job, &tally.active, active - wanted);
    if !surplus.is_empty() {
        give_up(job, surplus.iter().take(PODS_MAX), decision);
        return;
    }
    let waiting = if replaces_only_failed(job) {
        count(&tally.terminating)
    } else {
        0
    };
    let missing = usize::try_from(wanted - active - waiting).unwrap_or_default();
    if missing == 0 {
        return;
    }
    let global = index_limit::limit(job).is_none();
    if let Some(at) = global.then(|| retry::of_job(pods, now)).flatten() {
        decision.wake(at);
        return;
    }
    make::create(job, tally, missing.min(PODS_MAX), decision, now);
}

/// The pods to remove: those without an index of their own, and as many others as are too many.
///
/// Source: `activePodsForRemoval`.
fn surplus(job: &Object, active: &[Arc<Object>], too_many: i64) -> Vec<Arc<Object>> {
    let mut sorted = active.to_vec();
    sorted.sort_by_key(|pod| {
        (
            pod::is_ready(pod),
            !pod::node_name(pod).is_empty(),
            pod.name().to_owned(),
        )
    });
    let mut indexes = BTreeSet::new();
    let mut kept = Vec::new();
    let mut removed = Vec::new();
    // The pod that is wanted most keeps its index.
    for pod in sorted.into_iter().rev() {
        let has_place =
            !is_indexed(job) || index_of(job, &pod).is_some_and(|index| indexes.insert(index));
        let place = if has_place { &mut kept } else { &mut removed };
        place.push(pod);
    }
    let too_many = usize::try_from(too_many).unwrap_or_default();
    let more = too_many.saturating_sub(removed.len());
    removed.extend(kept.into_iter().rev().take(more));
    removed
}
