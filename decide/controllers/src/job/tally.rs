//! Which pods have ended, which of them are counted, and what still runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::{indexes, is_tracked, untrack};
use crate::action::Action;
use crate::pod;

const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The counts of one moment.
#[derive(Debug)]
pub(super) struct Tally {
    /// Ended well, counted or not.
    pub(super) succeeded: i64,
    /// Ended badly, counted or not.
    pub(super) failed: i64,
    /// Neither ended nor on their way out.
    pub(super) active: Vec<Arc<Object>>,
    /// On their way out and not ended.
    pub(super) terminating: usize,
    /// Indexes that were completed.
    pub(super) completed: BTreeSet<i64>,
    /// Uids of pods that ended and are not in the counts yet.
    uncounted: [BTreeSet<String>; 2],
    /// Counts without them.
    counted: [i64; 2],
    /// Finalizers to remove: these uids were noted before.
    pub(super) release: Vec<Action>,
    is_indexed: bool,
}

const FIELDS: [&str; 2] = ["succeeded", "failed"];

/// A pod's completion index.
pub(super) fn index_of(pod: &Object) -> Option<i64> {
    pod.annotation(INDEX)
        .or_else(|| pod.label(INDEX))?
        .parse()
        .ok()
}

impl Tally {
    pub(super) fn new(job: &Object, pods: &[Arc<Object>]) -> Self {
        let replaces_only_failed = job.str_at(&["spec", "podReplacementPolicy"]) == Some("Failed");
        let noted = |field: &str| -> BTreeSet<String> {
            let uids = job
                .list_at(&["status", "uncountedTerminatedPods", field])
                .iter();
            uids.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let noted = FIELDS.map(noted);
        let mut tally = Self {
            succeeded: 0,
            failed: 0,
            active: Vec::new(),
            terminating: 0,
            completed: indexes::parse(
                job.str_at(&["status", "completedIndexes"])
                    .unwrap_or_default(),
            ),
            uncounted: noted.clone(),
            counted: FIELDS.map(|field| job.int_at(&["status", field]).unwrap_or_default()),
            release: Vec::new(),
            is_indexed: job.str_at(&["spec", "completionMode"]) == Some("Indexed"),
        };
        let waiting: BTreeSet<&str> = pods
            .iter()
            .filter(|pod| is_tracked(pod))
            .map(|pod| pod.uid())
            .collect();
        for (at, uids) in noted.iter().enumerate() {
            for uid in uids.iter().filter(|uid| !waiting.contains(uid.as_str())) {
                if let (Some(uncounted), Some(counted)) =
                    (tally.uncounted.get_mut(at), tally.counted.get_mut(at))
                {
                    uncounted.remove(uid);
                    *counted += 1;
                }
            }
        }
        for pod in pods {
            tally.add(pod, &noted, replaces_only_failed);
        }
        let waiting = |at: usize| {
            let uncounted = tally.uncounted.get(at).map_or(0, BTreeSet::len);
            i64::try_from(uncounted).unwrap_or_default()
                + tally.counted.get(at).copied().unwrap_or_default()
        };
        (tally.succeeded, tally.failed) = (waiting(0), waiting(1));
        if tally.is_indexed {
            tally.succeeded = i64::try_from(tally.completed.len()).unwrap_or(i64::MAX);
        }
        tally
    }

    fn add(
        &mut self,
        pod: &Arc<Object>,
        noted: &[BTreeSet<String>; 2],
        replaces_only_failed: bool,
    ) {
        let is_leaving = pod.deletion_timestamp().is_some();
        if is_leaving && !pod::is_terminal(pod) {
            self.terminating += 1;
        }
        let kind = match pod::phase(pod) {
            "Succeeded" => 0,
            "Failed" => 1,
            _ if is_leaving && !replaces_only_failed => 1,
            _ if is_leaving => return,
            _ => {
                self.active.push(Arc::clone(pod));
                return;
            }
        };
        if !is_tracked(pod) {
            return;
        }
        if noted.iter().any(|uids| uids.contains(pod.uid())) {
            self.release.extend(untrack(pod));
        }
        if kind == 0
            && self.is_indexed
            && let Some(index) = index_of(pod)
            && !self.completed.insert(index)
        {
            // A second success of one index counts for nothing.
            self.release.extend(untrack(pod));
            return;
        }
        if let Some(uids) = self.uncounted.get_mut(kind) {
            uids.insert(pod.uid().to_owned());
        }
    }

    /// Whether every ended pod is in the counts.
    pub(super) fn is_settled(&self) -> bool {
        self.uncounted.iter().all(BTreeSet::is_empty)
    }

    /// Writes the counts into a status.
    pub(super) fn write(&self, status: &mut Value) {
        for ((field, uids), count) in FIELDS.iter().zip(&self.uncounted).zip(self.counted) {
            if count > 0 {
                status.set(&[field], count.into());
            }
            let path = ["uncountedTerminatedPods", field];
            if uids.is_empty() {
                status.remove(&path);
            } else {
                status.set(&path, json!(uids));
            }
        }
        if status.at(&["uncountedTerminatedPods"]).is_none() {
            status.set(&["uncountedTerminatedPods"], json!({}));
        }
        let ready = self.active.iter().filter(|pod| pod::is_ready(pod)).count();
        status.set(&["ready"], ready.into());
        status.set(&["terminating"], self.terminating.into());
        if self.active.is_empty() {
            status.remove(&["active"]);
        } else {
            status.set(&["active"], self.active.len().into());
        }
        if self.is_indexed && !self.completed.is_empty() {
            status.set(
                &["completedIndexes"],
                indexes::print(&self.completed).into(),
            );
        }
    }
}
