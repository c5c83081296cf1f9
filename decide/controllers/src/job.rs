//! Jobs: pods that run to their end, counted exactly once each.
//!
//! Source: `pkg/controller/job`. A finished pod is counted in three steps, each of which may be repeated: its uid is
//! noted in the status, its finalizer is removed, its uid makes way for a higher count.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};

use crate::action::{Action, edited, update};
use crate::claim;
use crate::controller::{Controller, Decision};
use crate::pod;
use crate::resources::{JOBS, PODS};
use crate::snapshot::Snapshot;

mod end;
mod failure_policy;
mod index_limit;
mod indexes;
mod make;
mod manage;
mod retry;
mod success_policy;
mod tally;
#[cfg(test)]
mod tests;

/// Keeps a pod until it is counted. Source: `batch/v1 JobTrackingFinalizer`.
const FINALIZER: &str = "batch.kubernetes.io/job-tracking";

/// The job controller.
#[derive(Debug)]
pub struct Job;

/// What its decision depends on.
#[derive(Debug)]
pub enum Observed {
    /// A job with its pods.
    Job {
        /// The job.
        job: Arc<Object>,
        /// Its pods, ended ones too.
        pods: claim::Claims,
        /// Pods of an earlier job of the same name that still wait to be counted.
        stray: Vec<Arc<Object>>,
    },
    /// Pods that wait to be counted by a job that is gone, or that gave them up.
    Gone(Vec<Arc<Object>>),
}

impl Controller for Job {
    type Observed = Observed;
    const NAME: &'static str = "job-controller";
    const SUBJECT: Resource = JOBS;
    const WATCHES: &'static [Resource] = &[JOBS, PODS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == JOBS {
            return vec![object.key()];
        }
        let mut keys = claim::concerned_owners(snapshot, &JOBS, object);
        if is_tracked(object) && object.controller().is_none() {
            keys.push(orphans_of(object.namespace()));
        }
        keys
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        if *key == orphans_of(&key.namespace) {
            let mut orphans = snapshot.list(&PODS, &key.namespace);
            orphans.retain(|pod| is_tracked(pod) && pod.controller().is_none());
            // What a job may adopt stays.
            orphans.retain(|pod| {
                pod.deletion_timestamp().is_some()
                    || claim::concerned_owners(snapshot, &JOBS, pod).is_empty()
            });
            return (!orphans.is_empty()).then_some(Observed::Gone(orphans));
        }
        let job = snapshot.get(&JOBS, key);
        let uid = job.as_ref().map(|job| job.uid());
        let mut stray = snapshot.list(&PODS, &key.namespace);
        stray.retain(|pod| {
            is_tracked(pod)
                && pod.controller().is_some_and(|owner| {
                    owner.str_at(&["kind"]) == Some("Job")
                        && owner.str_at(&["name"]) == Some(&key.name)
                        && owner.str_at(&["uid"]) != uid
                })
        });
        let Some(job) = job else {
            return (!stray.is_empty()).then_some(Observed::Gone(stray));
        };
        if job
            .str_at(&["spec", "managedBy"])
            .is_some_and(|by| by != "kubernetes.io/job-controller")
        {
            return None;
        }
        let candidates = claim::candidates(snapshot, &PODS, &job);
        let pods = claim::selector_of(&job)
            .map(|selector| {
                claim::claim(&JOBS, &job, &selector, &PODS, &candidates, Some(FINALIZER))
            })
            .unwrap_or_default();
        Some(Observed::Job { job, pods, stray })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        match seen {
            Observed::Gone(pods) => Decision {
                actions: pods.iter().filter_map(untrack).collect(),
                ..Decision::default()
            },
            Observed::Job { job, pods, stray } => {
                let mut decision = manage::decide(job, pods, now);
                decision.actions.extend(stray.iter().filter_map(untrack));
                decision
            }
        }
    }
}

/// The key under which the pods of a namespace are looked at that wait to be counted and belong to no job.
///
/// Source: `syncOrphanPod`.
fn orphans_of(namespace: &str) -> Key {
    Key::new(namespace, "")
}

fn is_tracked(pod: &Object) -> bool {
    pod.finalizers().contains(&FINALIZER)
}

fn is_indexed(job: &Object) -> bool {
    job.str_at(&["spec", "completionMode"]) == Some("Indexed")
}

/// Whether a pod on its way out has its successor only when it has ended. Source: `onlyReplaceFailedPods`.
fn replaces_only_failed(job: &Object) -> bool {
    job.str_at(&["spec", "podReplacementPolicy"]) == Some("Failed")
        || job.at(&["spec", "podFailurePolicy"]).is_some()
}

/// Whether a pod has failed as far as its job is concerned. Source: `isPodFailed`.
fn is_failed(job: &Object, pod: &Object) -> bool {
    match pod::phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod.deletion_timestamp().is_some() && !replaces_only_failed(job),
    }
}

/// Lets a pod go.
fn untrack(pod: &Arc<Object>) -> Option<Action> {
    let freed = edited(pod, |pod| claim::let_go(pod, FINALIZER));
    update(&PODS, pod, &freed)
}
