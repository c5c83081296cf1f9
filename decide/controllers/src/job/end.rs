//! Whether a job ends, and how.
//!
//! Source: `syncJob`. What was said before holds; then failures are asked for, then successes.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Object, ObjectExt};
use serde_json::Value;

use super::failure_policy::{Judgement, judge};
use super::tally::Tally;
use super::{is_failed, success_policy};
use crate::condition;
use crate::pod;

/// How a job ends.
#[derive(Debug)]
pub(super) struct End {
    pub(super) is_failure: bool,
    pub(super) reason: Cow<'static, str>,
    pub(super) message: Cow<'static, str>,
}

/// Reasons and messages of failures that have always the same. Source: `batch/v1 JobReason*`.
const OUT_OF_TRIES: [&str; 2] = [
    "BackoffLimitExceeded",
    "Job has reached the specified backoff limit",
];
const OUT_OF_TIME: [&str; 2] = [
    "DeadlineExceeded",
    "Job was active longer than specified deadline",
];
const TOO_MANY_INDEXES: [&str; 2] = [
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
];
const SOME_INDEXES: [&str; 2] = ["FailedIndexes", "Job has failed indexes"];
const FAILURE_POLICY: &str = "PodFailurePolicy";
const SUCCESS_POLICY: &str = "SuccessPolicy";
const COMPLETE: [&str; 2] = [
    "CompletionsReached",
    "Reached expected number of succeeded pods",
];

impl End {
    /// The condition that says so for good.
    pub(super) fn condition(&self) -> &'static str {
        if self.is_failure {
            "Failed"
        } else {
            "Complete"
        }
    }

    /// The condition that says so while pods are still ending.
    pub(super) fn target(&self) -> &'static str {
        if self.is_failure {
            "FailureTarget"
        } else {
            "SuccessCriteriaMet"
        }
    }

    /// The reason of a failure for its event; `Failed` when somebody else gave it.
    pub(super) fn known_reason(&self) -> &'static str {
        let [tries, _] = OUT_OF_TRIES;
        let [time, _] = OUT_OF_TIME;
        let [many, _] = TOO_MANY_INDEXES;
        let [some, _] = SOME_INDEXES;
        let known = [tries, time, many, some, FAILURE_POLICY];
        let is_it = |known: &&str| *known == self.reason;
        known.into_iter().find(is_it).unwrap_or("Failed")
    }

    fn failure([reason, message]: [&'static str; 2]) -> Self {
        Self {
            is_failure: true,
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// What a condition of an earlier decision says.
    fn said(status: &Value, kind: &str, is_failure: bool) -> Option<Self> {
        let condition = condition::find(status, kind)?;
        let text = |field| condition.str_at(&[field]).unwrap_or_default().to_owned();
        (condition.str_at(&["status"]) == Some("True")).then(|| Self {
            is_failure,
            reason: text("reason").into(),
            message: text("message").into(),
        })
    }
}

/// How the job ends, if it does.
pub(super) fn of(
    job: &Object,
    status: &Value,
    tally: &Tally,
    pods: &[Arc<Object>],
    now: Timestamp,
) -> Option<End> {
    End::said(status, "SuccessCriteriaMet", false)
        .or_else(|| End::said(status, "FailureTarget", true))
        .or_else(|| failed_by_policy(job, pods))
        .or_else(|| failed_by_limit(job, status, tally, pods, now).map(End::failure))
        .or_else(|| succeeded(job, tally))
}

fn failed_by_policy(job: &Object, pods: &[Arc<Object>]) -> Option<End> {
    let mut failed = pods.iter().filter(|pod| is_failed(job, pod));
    let message = failed.find_map(|pod| match judge(job, pod) {
        Judgement::FailsJob(message) => Some(message),
        Judgement::Counts | Judgement::Ignored | Judgement::FailsIndex => None,
    })?;
    Some(End {
        is_failure: true,
        reason: FAILURE_POLICY.into(),
        message: message.into(),
    })
}

fn failed_by_limit(
    job: &Object,
    status: &Value,
    tally: &Tally,
    pods: &[Arc<Object>],
    now: Timestamp,
) -> Option<[&'static str; 2]> {
    let limit = job.int_at(&["spec", "backoffLimit"]).unwrap_or(6);
    if tally.failed > limit || has_too_many_restarts(job, pods, limit) {
        return Some(OUT_OF_TRIES);
    }
    let is_suspended = job.bool_at(&["spec", "suspend"]) == Some(true);
    if !is_suspended && deadline(job, status).is_some_and(|deadline| deadline <= now) {
        return Some(OUT_OF_TIME);
    }
    let failed = i64::try_from(tally.failed_indexes.as_ref()?.len()).unwrap_or(i64::MAX);
    let max = job.int_at(&["spec", "maxFailedIndexes"]);
    if max.is_some_and(|max| failed > max) {
        return Some(TOO_MANY_INDEXES);
    }
    let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
    (failed > 0 && failed + tally.succeeded >= completions).then_some(SOME_INDEXES)
}

fn succeeded(job: &Object, tally: &Tally) -> Option<End> {
    let [reason, message] = COMPLETE;
    let end = |reason: &'static str, message| End {
        is_failure: false,
        reason: reason.into(),
        message,
    };
    if let Some(message) = success_policy::met(job, &tally.completed) {
        return Some(end(SUCCESS_POLICY, message.into()));
    }
    let is_done = match job.int_at(&["spec", "completions"]) {
        Some(completions) => tally.succeeded >= completions,
        None => tally.succeeded > 0 && tally.active.is_empty(),
    };
    is_done.then(|| end(reason, message.into()))
}

/// When the job must have ended.
pub(super) fn deadline(job: &Object, status: &Value) -> Option<Timestamp> {
    let seconds = job.int_at(&["spec", "activeDeadlineSeconds"])?;
    let started = meta::time::from_rfc3339(status.str_at(&["startTime"])?)?;
    started.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Pods that restart in place use up tries by their restarts. Source: `pastBackoffLimitOnFailure`.
fn has_too_many_restarts(job: &Object, pods: &[Arc<Object>], limit: i64) -> bool {
    let policy = job.str_at(&["spec", "template", "spec", "restartPolicy"]);
    if policy != Some("OnFailure") {
        return false;
    }
    let restarts: i64 = pods
        .iter()
        .filter(|pod| matches!(pod::phase(pod), "Running" | "Pending"))
        .flat_map(|pod| {
            let init = pod.list_at(&["status", "initContainerStatuses"]).iter();
            init.chain(pod.list_at(&["status", "containerStatuses"]))
        })
        .filter_map(|container| container.int_at(&["restartCount"]))
        .sum();
    if limit == 0 {
        restarts > 0
    } else {
        restarts >= limit
    }
}
