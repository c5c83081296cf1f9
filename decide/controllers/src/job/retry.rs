//! How long a job waits before it tries again, as a whole or for one index.
//!
//! Source: `backoff_utils.go`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Object, ObjectExt};

use super::index_limit;
use crate::condition;
use crate::pod;

/// First wait after a pod failed, in seconds; it doubles. Source: `DefaultJobPodFailureBackOff`.
const BACKOFF_SECONDS_MIN: i64 = 10;
/// Longest wait. Source: `MaxJobPodFailureBackOff`.
const BACKOFF_SECONDS_MAX: i64 = 600;
/// After so many doublings the wait is the longest.
const DOUBLINGS_MAX: u32 = 10;

/// When the next pod may be made after failures; `None`: now.
pub(super) fn of_job(pods: &[Arc<Object>], now: Timestamp) -> Option<Timestamp> {
    let ended = |phase: &'static str| {
        pods.iter()
            .filter(move |pod| pod::phase(pod) == phase)
            .filter_map(|pod| finished_at(pod))
    };
    let last_success = ended("Succeeded").max();
    let in_a_row: Vec<Timestamp> = ended("Failed")
        .filter(|at| last_success.is_none_or(|success| *at > success))
        .collect();
    let last = in_a_row.iter().max()?;
    after(*last, i64::try_from(in_a_row.len()).ok()?, now)
}

/// When the pod of an index may be made whose last pod was this one; `None`: now.
pub(super) fn of_index(last: &Object, now: Timestamp) -> Option<Timestamp> {
    let failures = index_limit::failures_in_all(last) + 1;
    after(finished_at(last)?, failures, now)
}

fn after(last: Timestamp, failures: i64, now: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(failures.saturating_sub(1).max(0)).unwrap_or(u32::MAX);
    let seconds = BACKOFF_SECONDS_MIN << doublings.min(DOUBLINGS_MAX);
    let wait = SignedDuration::from_secs(seconds.min(BACKOFF_SECONDS_MAX));
    let at = last.checked_add(wait).ok()?;
    (at > now).then_some(at)
}

/// When a pod ended, as far as anything tells.
pub(super) fn finished_at(pod: &Object) -> Option<Timestamp> {
    let read = meta::time::from_rfc3339;
    let by_ready = || {
        let status = pod.get("status")?;
        if condition::status_of(status, "Ready") != Some("False") {
            return None;
        }
        read(condition::find(status, "Ready")?.str_at(&["lastTransitionTime"])?)
    };
    let by_deletion = || {
        let grace = pod.int_at(&["metadata", "deletionGracePeriodSeconds"]);
        let grace = SignedDuration::from_secs(grace.unwrap_or_default());
        read(pod.deletion_timestamp()?)?.checked_sub(grace).ok()
    };
    by_containers(pod)
        .or_else(by_ready)
        .or_else(by_deletion)
        .or_else(|| pod::created_at(pod))
}

/// The end of the container that ended last, sidecars among them; `None` while one of them runs.
fn by_containers(pod: &Object) -> Option<Timestamp> {
    let is_sidecar = |name: Option<&str>| {
        pod.list_at(&["spec", "initContainers"])
            .iter()
            .any(|container| {
                container.str_at(&["name"]) == name
                    && container.str_at(&["restartPolicy"]) == Some("Always")
            })
    };
    let sidecars = pod
        .list_at(&["status", "initContainerStatuses"])
        .iter()
        .filter(|container| is_sidecar(container.str_at(&["name"])));
    let containers = pod.list_at(&["status", "containerStatuses"]).iter();
    let ends: Option<Vec<Timestamp>> = containers
        .chain(sidecars)
        .map(|container| {
            meta::time::from_rfc3339(container.str_at(&["state", "terminated", "finishedAt"])?)
        })
        .collect();
    ends?.into_iter().max()
}
