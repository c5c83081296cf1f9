//! Which pods have ended, which of them are counted, and what still runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::failure_policy::{Judgement, judge};
use super::index_limit::{self, index_of};
use super::{indexes, is_failed, is_indexed, is_tracked, untrack};
use crate::action::Action;
use crate::pod;

/// Most uids of one kind that stand in a status at once. Source: `MaxUncountedPods`.
const UNCOUNTED_MAX: usize = 500;

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
    pub(super) terminating: Vec<Arc<Object>>,
    /// Indexes that were completed.
    pub(super) completed: BTreeSet<i64>,
    /// Indexes that are not tried again; `None` without a limit for each.
    pub(super) failed_indexes: Option<BTreeSet<i64>>,
    /// The last failed pod of each index that is tried again: it stays until its successor knows its count.
    pub(super) delayed: BTreeMap<i64, Arc<Object>>,
    well: Count,
    badly: Count,
    /// Finalizers to remove: these pods stand in the status, or do not count.
    pub(super) release: Vec<Action>,
    /// Pods wait for this status to be written.
    is_waiting: bool,
    is_indexed: bool,
}

/// Pods that ended in one way.
#[derive(Debug)]
struct Count {
    /// Its name in a status.
    field: &'static str,
    /// Uids of those that are not in the number yet.
    uids: BTreeSet<String>,
    /// How many there were without them.
    number: i64,
}

impl Count {
    fn read(job: &Object, field: &'static str) -> Self {
        let uids = job.list_at(&["status", "uncountedTerminatedPods", field]);
        let uids = uids.iter().filter_map(Value::as_str);
        Self {
            field,
            uids: uids.map(str::to_owned).collect(),
            number: job.int_at(&["status", field]).unwrap_or_default(),
        }
    }

    /// Takes the pods into the number that are not held any more.
    fn take_in(&mut self, held: &BTreeSet<&str>) {
        let before = self.total();
        self.uids.retain(|uid| held.contains(uid.as_str()));
        self.number += before - self.total();
    }

    fn total(&self) -> i64 {
        self.number + i64::try_from(self.uids.len()).unwrap_or_default()
    }

    fn write(&self, status: &mut Value) {
        if self.number > 0 {
            status.set(&[self.field], self.number.into());
        }
        let path = ["uncountedTerminatedPods", self.field];
        if self.uids.is_empty() {
            status.remove(&path);
        } else {
            status.set(&path, json!(self.uids));
        }
    }
}

/// What becomes of the pods that have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The job goes on.
    Stays,
    /// They are let go: the job has succeeded, or is being deleted.
    Goes,
    /// They count as failed: the job has.
    Fails,
}

impl Tally {
    pub(super) fn new(job: &Object, pods: &[Arc<Object>]) -> Self {
        let mut tally = Self::noted(job);
        let tracked: BTreeSet<&str> = pods
            .iter()
            .filter(|pod| is_tracked(pod))
            .map(|pod| pod.uid())
            .collect();
        tally.well.take_in(&tracked);
        tally.badly.take_in(&tracked);
        let (mut succeeded, mut failed) = (tally.well.total(), tally.badly.total());
        for pod in pods {
            if pod::is_active(pod) {
                tally.active.push(Arc::clone(pod));
            } else if pod::is_terminating(pod) {
                tally.terminating.push(Arc::clone(pod));
            }
            let index = index_of(job, pod);
            if !is_tracked(pod) || (tally.is_indexed && index.is_none()) {
                continue;
            }
            if pod::phase(pod) == "Succeeded" {
                succeeded += i64::from(!tally.well.uids.contains(pod.uid()));
                tally.completed.extend(index.filter(|_| tally.is_indexed));
            } else if is_failed(job, pod) && !tally.badly.uids.contains(pod.uid()) {
                failed += i64::from(judge(job, pod) != Judgement::Ignored);
            }
        }
        (tally.succeeded, tally.failed) = (succeeded, failed);
        if tally.is_indexed {
            tally.succeeded = i64::try_from(tally.completed.len()).unwrap_or(i64::MAX);
            tally.limit_indexes(job, pods);
        }
        tally
    }

    /// What the status of a job says.
    fn noted(job: &Object) -> Self {
        let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
        let completed = job.str_at(&["status", "completedIndexes"]);
        Self {
            succeeded: 0,
            failed: 0,
            active: Vec::new(),
            terminating: Vec::new(),
            completed: indexes::parse(completed.unwrap_or_default(), completions),
            failed_indexes: None,
            delayed: BTreeMap::new(),
            well: Count::read(job, "succeeded"),
            badly: Count::read(job, "failed"),
            release: Vec::new(),
            is_waiting: false,
            is_indexed: is_indexed(job),
        }
    }

    /// Finds the indexes that have failed and the pods that stay for their count.
    fn limit_indexes(&mut self, job: &Object, pods: &[Arc<Object>]) {
        let Some(limit) = index_limit::limit(job) else {
            return;
        };
        let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
        let known = job.str_at(&["status", "failedIndexes"]);
        let mut failed = indexes::parse(known.unwrap_or_default(), completions);
        failed.extend(index_limit::failed(job, pods, limit));
        let done = self.completed.union(&failed).copied().collect();
        self.delayed = index_limit::delayed(job, pods, &done);
        self.failed_indexes = Some(failed);
    }

    /// Notes the pods that have ended, and lets go those that are noted.
    pub(super) fn settle(&mut self, job: &Object, pods: &[Arc<Object>], rest: Rest) {
        let stored = Self::noted(job);
        for pod in pods.iter().filter(|pod| is_tracked(pod)) {
            self.settle_one(job, pod, rest, &stored);
        }
    }

    fn settle_one(&mut self, job: &Object, pod: &Arc<Object>, rest: Rest, stored: &Self) {
        let is_failed = is_failed(job, pod);
        let has_succeeded = pod::phase(pod) == "Succeeded";
        let index = index_of(job, pod);
        if rest == Rest::Stays && !has_succeeded {
            let last = index.and_then(|index| self.delayed.get(&index));
            if !is_failed || last.is_some_and(|last| last.uid() == pod.uid()) {
                return;
            }
        }
        let uid = pod.uid();
        let is_noted_badly = stored.badly.uids.contains(uid);
        let counts = |pod: &Object| judge(job, pod) != Judgement::Ignored;
        let (note, is_noted) = if self.is_indexed && index.is_none() {
            (None, true)
        } else if has_succeeded && !is_noted_badly {
            match index.filter(|_| self.is_indexed) {
                // The index alone tells that it is counted.
                Some(index) => (None, stored.completed.contains(&index)),
                None => (Some(&mut self.well), stored.well.uids.contains(uid)),
            }
        } else if is_noted_badly || ((is_failed || rest == Rest::Fails) && counts(pod)) {
            (Some(&mut self.badly), is_noted_badly)
        } else {
            (None, true)
        };
        if is_noted {
            self.release.extend(untrack(pod));
            return;
        }
        self.is_waiting = true;
        if let Some(count) = note
            && count.uids.len() < UNCOUNTED_MAX
        {
            count.uids.insert(uid.to_owned());
        }
    }

    /// Whether every ended pod is in the counts and let go.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_waiting
            && self.release.is_empty()
            && self.well.uids.is_empty()
            && self.badly.uids.is_empty()
    }

    /// Writes the counts into a status.
    pub(super) fn write(&self, status: &mut Value) {
        self.well.write(status);
        self.badly.write(status);
        if self.is_indexed && self.succeeded > 0 {
            status.set(&["succeeded"], self.succeeded.into());
        }
        if status.at(&["uncountedTerminatedPods"]).is_none() {
            status.set(&["uncountedTerminatedPods"], json!({}));
        }
        let ready = self.active.iter().filter(|pod| pod::is_ready(pod)).count();
        status.set(&["ready"], ready.into());
        status.set(&["terminating"], self.terminating.len().into());
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
        if let Some(failed) = &self.failed_indexes {
            status.set(&["failedIndexes"], indexes::print(failed).into());
        }
    }
}
