//! Finished jobs that asked to be deleted after a while.
//!
//! Source: `pkg/controller/ttlafterfinished`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, ObjectExt, Resource};

use crate::action::{Action, Propagation};
use crate::condition;
use crate::controller::{Controller, Decision};
use crate::resources::JOBS;
use crate::snapshot::Snapshot;

/// The controller of finished jobs.
#[derive(Debug)]
pub struct TtlAfterFinished;

impl Controller for TtlAfterFinished {
    type Observed = Arc<Object>;
    const NAME: &'static str = "ttl-after-finished-controller";
    const SUBJECT: Resource = JOBS;
    const WATCHES: &'static [Resource] = &[JOBS];

    fn concerns(_: &dyn Snapshot, _: &Resource, object: &Object) -> Vec<Key> {
        vec![object.key()]
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Arc<Object>> {
        snapshot
            .get(&JOBS, key)
            .filter(|job| job.deletion_timestamp().is_none())
    }

    fn decide(job: &Arc<Object>, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let Some(at) = expires_at(job) else {
            return decision;
        };
        if at > now {
            decision.wake(at);
            return decision;
        }
        decision.actions.push(Action::Delete {
            resource: JOBS,
            key: job.key(),
            uid: job.uid().to_owned(),
            resource_version: Some(job.resource_version().to_owned()),
            grace_seconds: None,
            propagation: Some(Propagation::Foreground),
            report: None,
        });
        decision
    }
}

/// When a finished job is to go; `None` when it is not finished or may stay.
fn expires_at(job: &Object) -> Option<Timestamp> {
    let seconds = job.int_at(&["spec", "ttlSecondsAfterFinished"])?;
    let status = job.get("status")?;
    let is_true = |kind: &&str| condition::is_true(status, kind);
    let finished = ["Complete", "Failed"].into_iter().find(is_true)?;
    let finished = condition::find(status, finished)?.str_at(&["lastTransitionTime"])?;
    let finished = meta::time::from_rfc3339(finished)?;
    finished
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::time;

    fn decide(kind: &str, now: i64) -> Decision {
        let job = json!({
            "metadata": { "name": "a" }, "spec": { "ttlSecondsAfterFinished": 30 },
            "status": { "conditions": [
                { "type": kind, "status": "True", "lastTransitionTime": time(0).to_string() },
            ]},
        });
        TtlAfterFinished::decide(&Arc::new(job), time(now))
    }

    #[test]
    fn a_finished_job_goes_when_its_time_is_over() {
        assert_eq!(decide("Complete", 10).wake_at, Some(time(30)));
        assert_eq!(decide("Failed", 30).actions.len(), 1);
        assert_eq!(decide("Suspended", 30), Decision::default());
    }
}
