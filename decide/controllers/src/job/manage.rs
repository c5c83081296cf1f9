//! The decision about a job that exists.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::tally::{Tally, index_of};
use super::{FINALIZER, is_tracked, untrack};
use crate::action::{Action, Event, Propagation, Reference, Report};
use crate::claim::Claims;
use crate::condition;
use crate::controller::{Decision, Status};
use crate::pod;
use crate::resources::{JOBS, PODS};

/// First wait after a pod failed, in seconds; it doubles. Source: `DefaultJobPodFailureBackOff`.
const BACKOFF_SECONDS_MIN: i64 = 10;
/// Longest wait. Source: `MaxJobPodFailureBackOff`.
const BACKOFF_SECONDS_MAX: i64 = 600;
/// Most pods made by one decision. Source: `MaxPodCreateDeletePerSync`.
const PODS_MAX: i64 = 500;
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// How a job ends.
struct End {
    /// The condition that says so for good.
    condition: &'static str,
    /// The condition that says so while pods are still ending.
    target: &'static str,
    reason: &'static str,
    message: &'static str,
}

const COMPLETE: End = End {
    condition: "Complete",
    target: "SuccessCriteriaMet",
    reason: "CompletionsReached",
    message: "Reached expected number of succeeded pods",
};
const OUT_OF_TRIES: End = End {
    condition: "Failed",
    target: "FailureTarget",
    reason: "BackoffLimitExceeded",
    message: "Job has reached the specified backoff limit",
};
const OUT_OF_TIME: End = End {
    condition: "Failed",
    target: "FailureTarget",
    reason: "DeadlineExceeded",
    message: "Job was active longer than specified deadline",
};

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
    let tally = Tally::new(job, &pods.owned);
    decision.actions.extend(tally.release.iter().cloned());
    tally.write(&mut status);
    if job.deletion_timestamp().is_none() {
        let is_suspended = job.bool_at(&["spec", "suspend"]) == Some(true);
        suspension(job, &mut status, is_suspended, &mut decision, now);
        if let Some(end) = end(job, &status, &tally, is_suspended, now) {
            finish(job, &tally, &end, &mut status, &mut decision, now);
        } else if is_suspended {
            decision.actions.extend(remove(job, tally.active.iter()));
        } else {
            run(job, pods, &tally, &mut decision, now);
            if let Some(deadline) = deadline(job, &status) {
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
    } else if !is_suspended && status.at(&["startTime"]).is_none() {
        status.set(&["startTime"], meta::time::to_rfc3339(now).into());
    }
}

fn deadline(job: &Object, status: &Value) -> Option<Timestamp> {
    let seconds = job.int_at(&["spec", "activeDeadlineSeconds"])?;
    let started = meta::time::from_rfc3339(status.str_at(&["startTime"])?)?;
    started.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn parallelism(job: &Object) -> i64 {
    job.int_at(&["spec", "parallelism"]).unwrap_or(1)
}

/// How the job ends, if it does.
fn end(
    job: &Object,
    status: &Value,
    tally: &Tally,
    is_suspended: bool,
    now: Timestamp,
) -> Option<End> {
    if condition::is_true(status, "FailureTarget") {
        let reason = condition::find(status, "FailureTarget")?.str_at(&["reason"]);
        return Some(if reason == Some(OUT_OF_TIME.reason) {
            OUT_OF_TIME
        } else {
            OUT_OF_TRIES
        });
    }
    if condition::is_true(status, "SuccessCriteriaMet") {
        return Some(COMPLETE);
    }
    let limit = job.int_at(&["spec", "backoffLimit"]).unwrap_or(6);
    if tally.failed > limit || has_too_many_restarts(job, tally, limit) {
        return Some(OUT_OF_TRIES);
    }
    if !is_suspended && deadline(job, status).is_some_and(|deadline| deadline <= now) {
        return Some(OUT_OF_TIME);
    }
    let is_done = match job.int_at(&["spec", "completions"]) {
        Some(completions) => tally.succeeded >= completions,
        None => tally.succeeded > 0 && tally.active.is_empty(),
    };
    (is_done && !(is_suspended && job.int_at(&["spec", "completions"]) == Some(0)))
        .then_some(COMPLETE)
}

/// Pods that restart in place use up tries by their restarts.
fn has_too_many_restarts(job: &Object, tally: &Tally, limit: i64) -> bool {
    let policy = job.str_at(&["spec", "template", "spec", "restartPolicy"]);
    if policy != Some("OnFailure") {
        return false;
    }
    let restarts: i64 = tally.active.iter().map(|pod| pod::restarts_max(pod)).sum();
    if limit == 0 {
        restarts > 0
    } else {
        restarts >= limit
    }
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
    let times = ["lastProbeTime"];
    condition::set(
        status,
        end.target,
        "True",
        end.reason,
        end.message,
        now,
        &times,
    );
    decision.actions.extend(remove(job, tally.active.iter()));
    if !tally.active.is_empty() || tally.terminating > 0 || !tally.is_settled() {
        return;
    }
    condition::set(
        status,
        end.condition,
        "True",
        end.reason,
        end.message,
        now,
        &times,
    );
    if end.condition == COMPLETE.condition {
        status.set(&["completionTime"], meta::time::to_rfc3339(now).into());
        decision
            .actions
            .push(event(job, "Completed", "Job completed"));
    } else {
        let regarding = Reference::new(&JOBS, job);
        decision.actions.push(Action::Event(Event::warning(
            regarding,
            end.reason,
            end.message,
        )));
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
fn run(job: &Arc<Object>, pods: &Claims, tally: &Tally, decision: &mut Decision, now: Timestamp) {
    let active = i64::try_from(tally.active.len()).unwrap_or(i64::MAX);
    let wanted = match job.int_at(&["spec", "completions"]) {
        None if tally.succeeded > 0 => active.min(parallelism(job)),
        None => parallelism(job),
        Some(completions) => (completions - tally.succeeded).clamp(0, parallelism(job)),
    };
    if active > wanted {
        let mut surplus = tally.active.clone();
        surplus.sort_by_key(|pod| {
            (
                pod::is_ready(pod),
                !pod::node_name(pod).is_empty(),
                pod.name().to_owned(),
            )
        });
        let count = usize::try_from(active - wanted).unwrap_or_default();
        decision
            .actions
            .extend(remove(job, surplus.iter().take(count)));
        return;
    }
    let waiting = if job.str_at(&["spec", "podReplacementPolicy"]) == Some("Failed") {
        i64::try_from(tally.terminating).unwrap_or_default()
    } else {
        0
    };
    let missing = (wanted - active - waiting).clamp(0, PODS_MAX);
    if missing == 0 {
        return;
    }
    if let Some(at) = next_try(pods, now) {
        decision.wake(at);
        return;
    }
    let count = usize::try_from(missing).unwrap_or_default();
    decision.actions.extend(create(job, tally, count));
}

/// When the next pod may be made after failures; `None`: now.
fn next_try(pods: &Claims, now: Timestamp) -> Option<Timestamp> {
    let finished = |pod: &&Arc<Object>| pod::phase(pod) == "Failed";
    let failed: Vec<Timestamp> = pods
        .owned
        .iter()
        .filter(finished)
        .filter_map(|pod| finished_at(pod))
        .collect();
    let succeeded = pods
        .owned
        .iter()
        .filter(|pod| pod::phase(pod) == "Succeeded");
    let last_success = succeeded.filter_map(|pod| finished_at(pod)).max();
    let in_a_row: Vec<&Timestamp> = failed
        .iter()
        .filter(|at| last_success.is_none_or(|success| **at > success))
        .collect();
    let last = in_a_row.iter().max()?;
    let doublings = u32::try_from(in_a_row.len().saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(10);
    let seconds = (BACKOFF_SECONDS_MIN << doublings).min(BACKOFF_SECONDS_MAX);
    let at = last.checked_add(SignedDuration::from_secs(seconds)).ok()?;
    (at > now).then_some(at)
}

fn finished_at(pod: &Object) -> Option<Timestamp> {
    let ended = pod
        .list_at(&["status", "containerStatuses"])
        .iter()
        .filter_map(|container| {
            meta::time::from_rfc3339(container.str_at(&["state", "terminated", "finishedAt"])?)
        });
    ended.max().or_else(|| {
        let deleted = pod.deletion_timestamp().and_then(meta::time::from_rfc3339);
        deleted.or_else(|| pod::created_at(pod))
    })
}

fn create(job: &Arc<Object>, tally: &Tally, count: usize) -> Vec<Action> {
    let nothing = json!({});
    let template = job.at(&["spec", "template"]).unwrap_or(&nothing);
    let mut pod = pod::from_template(&JOBS, job, template);
    let mut finalizers = pod.list_at(&["metadata", "finalizers"]).to_vec();
    finalizers.push(FINALIZER.into());
    pod.set(&["metadata", "finalizers"], Value::Array(finalizers));
    let report = Report::pod_created(Reference::new(&JOBS, job));
    let action = |object: Object| Action::Create {
        resource: PODS,
        object,
        report: Some(report.clone()),
    };
    if job.str_at(&["spec", "completionMode"]) != Some("Indexed") {
        return vec![action(pod); count];
    }
    let taken: BTreeSet<i64> = tally
        .active
        .iter()
        .filter_map(|pod| index_of(pod))
        .collect();
    let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
    let free =
        (0..completions).filter(|index| !taken.contains(index) && !tally.completed.contains(index));
    free.take(count)
        .map(|index| action(indexed(&pod, job.name(), index)))
        .collect()
}

/// The pod of one completion index.
fn indexed(pod: &Object, job: &str, index: i64) -> Object {
    let mut pod = pod.clone();
    let text = index.to_string();
    pod.set(
        &["metadata", "generateName"],
        format!("{job}-{index}-").into(),
    );
    pod.set(&["metadata", "annotations", INDEX], text.clone().into());
    pod.set(&["metadata", "labels", INDEX], text.into());
    if pod.at(&["spec", "hostname"]).is_none() {
        pod.set(&["spec", "hostname"], format!("{job}-{index}").into());
    }
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": { "fieldRef": { "fieldPath": format!("metadata.labels['{INDEX}']") } },
    });
    for field in ["containers", "initContainers"] {
        let mut containers = pod.list_at(&["spec", field]).to_vec();
        if containers.is_empty() {
            continue;
        }
        for container in &mut containers {
            let mut env = container.list_at(&["env"]).to_vec();
            if env
                .iter()
                .all(|known| known.get("name") != variable.get("name"))
            {
                env.push(variable.clone());
            }
            container.set(&["env"], Value::Array(env));
        }
        pod.set(&["spec", field], Value::Array(containers));
    }
    pod
}
