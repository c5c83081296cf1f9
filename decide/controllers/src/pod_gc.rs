//! Pods that nobody else will clean away: their node is gone, they were deleted before they had one, or too many ended.
//!
//! Source: `pkg/controller/podgc`.
//!
// DIFFERS: upstream looks every 20 seconds and gives a missing node 40 seconds to come back; here a pod goes as soon as
// its node is seen to be gone, except in the first 40 seconds of a process.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, ObjectExt, Resource};

use crate::action::{Action, edited, update_at};
use crate::controller::{Controller, Decision};
use crate::pod;
use crate::resources::{NODES, PODS};
use crate::snapshot::Snapshot;
use crate::taint_eviction::disrupted;

/// Ended pods that are kept. Source: `--terminated-pod-gc-threshold`.
const ENDED_MAX: usize = 12_500;
/// Seconds that a node has to show itself after this process started. Source: `quarantineTime`.
const QUARANTINE_SECONDS: i64 = 40;

/// The pod garbage collector. The empty key stands for all ended pods together.
#[derive(Debug)]
pub struct PodGc;

/// What its decision depends on.
#[derive(Debug)]
pub enum Observed {
    /// A pod whose node is gone, and when that may be believed.
    Orphaned(Arc<Object>, Timestamp),
    /// A pod that was deleted and never had a node.
    Unscheduled(Arc<Object>),
    /// Ended pods beyond the limit.
    Surplus(Vec<Arc<Object>>),
}

fn everything() -> Key {
    Key::new("", "")
}

impl Controller for PodGc {
    type Observed = Observed;
    const NAME: &'static str = "pod-garbage-collector-controller";
    const SUBJECT: Resource = PODS;
    const WATCHES: &'static [Resource] = &[PODS, NODES];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == NODES {
            return snapshot
                .on_node(&PODS, object.name())
                .iter()
                .map(|pod| pod.key())
                .collect();
        }
        if pod::is_terminal(object) {
            return vec![object.key(), everything()];
        }
        vec![object.key()]
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        if *key == everything() {
            let mut ended = snapshot.list(&PODS, "");
            ended.retain(|pod| pod::is_terminal(pod) && pod.deletion_timestamp().is_none());
            let surplus = ended
                .len()
                .checked_sub(ENDED_MAX)
                .filter(|surplus| *surplus > 0)?;
            ended.sort_by_key(|pod| (pod::created_at(pod), pod.key()));
            ended.truncate(surplus);
            return Some(Observed::Surplus(ended));
        }
        let pod = snapshot.get(&PODS, key)?;
        let node = pod::node_name(&pod);
        if node.is_empty() {
            return pod
                .deletion_timestamp()
                .is_some()
                .then_some(Observed::Unscheduled(pod));
        }
        if snapshot.get(&NODES, &Key::new("", node)).is_some() {
            return None;
        }
        let since = snapshot.settings().watching_since;
        let at = since.saturating_add(SignedDuration::from_secs(QUARANTINE_SECONDS));
        Some(Observed::Orphaned(pod, at.unwrap_or(since)))
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        match seen {
            Observed::Orphaned(_, at) if *at > now => decision.wake(*at),
            Observed::Orphaned(pod, _) => {
                decision.why.push("its node is gone".to_owned());
                decision.actions.extend(failed(pod, now));
                decision.actions.push(remove(pod));
            }
            Observed::Unscheduled(pod) => {
                decision
                    .why
                    .push("it was deleted before it had a node".to_owned());
                decision.actions.push(remove(pod));
            }
            Observed::Surplus(pods) => decision.actions.extend(pods.iter().map(remove)),
        }
        decision
    }
}

/// Marks a pod that can never end by itself as failed, so that its owner counts it.
fn failed(pod: &Arc<Object>, now: Timestamp) -> Option<Action> {
    if pod::is_terminal(pod) {
        return None;
    }
    let marked = disrupted(pod, "DeletionByPodGC", "PodGC: node no longer exists", now);
    let marked = edited(&Arc::new(marked), |pod| {
        pod.set(&["status", "phase"], "Failed".into());
    });
    update_at(&PODS, Some("status"), pod, &marked)
}

fn remove(pod: &Arc<Object>) -> Action {
    Action::Delete {
        resource: PODS,
        key: pod.key(),
        uid: pod.uid().to_owned(),
        resource_version: None,
        grace_seconds: Some(0),
        propagation: None,
        report: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{World, pod, time};

    fn key() -> Key {
        Key::new("default", "a")
    }

    #[test]
    fn a_pod_of_a_node_that_is_gone_fails_and_goes() {
        let world = World::new([(PODS, pod("a", "", "node-1", Some(0)))]);
        let seen = PodGc::observe(&world, &key()).unwrap();
        assert_eq!(PodGc::decide(&seen, time(10)).wake_at, Some(time(40)));
        let actions = PodGc::decide(&seen, time(40)).actions;
        assert!(matches!(
            actions[..],
            [
                Action::Patch { .. },
                Action::Delete {
                    grace_seconds: Some(0),
                    ..
                }
            ]
        ));
    }

    #[test]
    fn a_pod_of_a_known_node_stays() {
        let node = json!({ "metadata": { "name": "node-1" } });
        let world = World::new([(PODS, pod("a", "", "node-1", Some(0))), (NODES, node)]);
        assert!(PodGc::observe(&world, &key()).is_none());
    }

    #[test]
    fn a_deleted_pod_without_node_goes() {
        let mut waiting = pod("a", "", "", None);
        assert!(PodGc::observe(&World::new([(PODS, waiting.clone())]), &key()).is_none());
        waiting.set(
            &["metadata", "deletionTimestamp"],
            time(0).to_string().into(),
        );
        let seen = PodGc::observe(&World::new([(PODS, waiting)]), &key()).unwrap();
        assert_eq!(PodGc::decide(&seen, time(0)).actions.len(), 1);
    }
}
