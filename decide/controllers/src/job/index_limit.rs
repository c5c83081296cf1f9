//! Tries counted for each index by itself: which indexes have failed, and which failed pods stay until their successor
//! has taken over the count.
//!
//! Source: `indexed_job_utils.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meta::{Object, ObjectExt};

use super::failure_policy::{Judgement, judge};
use super::{is_failed, is_tracked, retry};
use crate::pod;

/// Counted failures of the index before this pod. Source: `batch/v1 JobIndexFailureCountAnnotation`.
const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// Failures that the policy ignored. Source: `batch/v1 JobIndexIgnoredFailureCountAnnotation`.
const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// The index of a pod. Source: `batch/v1 JobCompletionIndexAnnotation`.
pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Failures that each index may have; `None`: they are counted for the whole job alone.
pub(super) fn limit(job: &Object) -> Option<i64> {
    job.int_at(&["spec", "backoffLimitPerIndex"])
}

/// A pod's completion index, if the job has such an index.
pub(super) fn index_of(job: &Object, pod: &Object) -> Option<i64> {
    let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
    let index = pod.annotation(INDEX)?.parse().ok()?;
    (0..completions).contains(&index).then_some(index)
}

/// All failures of the index before this pod, ignored ones too.
pub(super) fn failures_in_all(pod: &Object) -> i64 {
    count(pod, FAILURES) + count(pod, IGNORED)
}

fn count(pod: &Object, annotation: &str) -> i64 {
    let text = pod.annotation(annotation).unwrap_or_default();
    text.parse::<i32>()
        .map_or(0, |count| i64::from(count.max(0)))
}

/// The indexes of uncounted pods whose tries are used up.
pub(super) fn failed(job: &Object, pods: &[Arc<Object>], limit: i64) -> BTreeSet<i64> {
    let is_last = |pod: &&Arc<Object>| {
        is_tracked(pod)
            && is_failed(job, pod)
            && match judge(job, pod) {
                Judgement::FailsIndex => true,
                Judgement::Ignored => false,
                Judgement::Counts | Judgement::FailsJob(_) => count(pod, FAILURES) >= limit,
            }
    };
    pods.iter()
        .filter(is_last)
        .filter_map(|pod| index_of(job, pod))
        .collect()
}

/// The last failed pod of each index that is tried again and has no pod yet; `done` are the indexes that are not.
pub(super) fn delayed(
    job: &Object,
    pods: &[Arc<Object>],
    done: &BTreeSet<i64>,
) -> BTreeMap<i64, Arc<Object>> {
    let mut last: BTreeMap<i64, Arc<Object>> = BTreeMap::new();
    let active: BTreeSet<i64> = pods
        .iter()
        .filter(|pod| pod::is_active(pod))
        .filter_map(|pod| index_of(job, pod))
        .collect();
    let failed = |pod: &&Arc<Object>| is_tracked(pod) && is_failed(job, pod);
    for pod in pods.iter().filter(failed) {
        let Some(index) = index_of(job, pod) else {
            continue;
        };
        if done.contains(&index) || active.contains(&index) {
            continue;
        }
        let is_later = |known: &Arc<Object>| {
            failures_in_all(known) <= failures_in_all(pod)
                && retry::finished_at(known) <= retry::finished_at(pod)
        };
        if last.get(&index).is_none_or(is_later) {
            last.insert(index, Arc::clone(pod));
        }
    }
    last
}

/// Writes into a new pod how often its index has failed; `last` is the pod it takes the place of.
pub(super) fn inherit(job: &Object, new: &mut Object, last: Option<&Arc<Object>>) {
    let (mut failures, mut ignored) = (0, 0);
    if let Some(last) = last {
        (failures, ignored) = (count(last, FAILURES), count(last, IGNORED));
        if judge(job, last) == Judgement::Ignored {
            ignored += 1;
        } else {
            failures += 1;
        }
    }
    let mut write = |annotation: &str, count: i64| {
        new.set(
            &["metadata", "annotations", annotation],
            count.to_string().into(),
        );
    };
    write(FAILURES, failures);
    if ignored > 0 {
        write(IGNORED, ignored);
    }
}
