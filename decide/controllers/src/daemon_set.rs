//! Daemon sets: one pod on every node that takes it.
//!
//! Source: `pkg/controller/daemon`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Event, Propagation, Reference, Report};
use crate::claim;
use crate::controller::{Controller, Decision, Status};
use crate::history;
use crate::pod;
use crate::resources::{CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS};
use crate::snapshot::Snapshot;

mod place;
mod roll;
#[cfg(test)]
mod tests;

use place::Fit;

/// Most pods made or removed by one decision. Source: `BurstReplicas`.
const BURST: usize = 250;

/// The daemon set controller.
#[derive(Debug)]
pub struct DaemonSet;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The daemon set.
    pub set: Arc<Object>,
    /// Every node.
    pub nodes: Vec<Arc<Object>>,
    /// Its pods.
    pub pods: claim::Claims,
    /// Its revisions.
    pub revisions: Vec<Arc<Object>>,
}

impl Controller for DaemonSet {
    type Observed = Observed;
    const NAME: &'static str = "daemonset-controller";
    const SUBJECT: Resource = DAEMON_SETS;
    const WATCHES: &'static [Resource] = &[DAEMON_SETS, PODS, NODES, CONTROLLER_REVISIONS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        match &*resource.kind {
            "DaemonSet" => vec![object.key()],
            "Node" => snapshot
                .list(&DAEMON_SETS, "")
                .iter()
                .map(|set| set.key())
                .collect(),
            "Pod" => claim::concerned_owners(snapshot, &DAEMON_SETS, object),
            _ if object.controller().is_some() => {
                claim::concerned_owners(snapshot, &DAEMON_SETS, object)
            }
            _ => Vec::new(),
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let set = snapshot.get(&DAEMON_SETS, key)?;
        let candidates = claim::candidates(snapshot, &PODS, &set);
        let pods = claim::selector_of(&set)
            .map(|selector| claim::claim(&DAEMON_SETS, &set, &selector, &PODS, &candidates, None))
            .unwrap_or_default();
        let revisions = snapshot.controlled_by(&CONTROLLER_REVISIONS, set.uid());
        Some(Observed {
            nodes: snapshot.list(&NODES, ""),
            pods,
            revisions,
            set,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision {
            actions: seen.pods.actions.clone(),
            ..Decision::default()
        };
        if seen.set.deletion_timestamp().is_some() {
            return decision;
        }
        let current = history::current(&DAEMON_SETS, &seen.set, &seen.revisions);
        let is_made = current.action.is_none();
        decision.actions.extend(current.action);
        if current.is_collision {
            let mut status = seen.set.get("status").cloned().unwrap_or_else(|| json!({}));
            let count = status.int_at(&["collisionCount"]).unwrap_or_default();
            status.set(&["collisionCount"], (count + 1).into());
            decision.status = Some(written(seen, status));
            return decision;
        }
        let board = Board::new(seen, &current.hash, now);
        board.place(&mut decision);
        if is_made {
            roll::roll(&board, &mut decision);
        }
        let hashes = seen
            .pods
            .owned
            .iter()
            .filter_map(|pod| pod.label(history::REVISION_LABEL));
        let mut used: Vec<&str> = hashes.collect();
        used.push(&current.hash);
        decision
            .actions
            .extend(history::trim(&seen.set, &seen.revisions, &used));
        decision.status = Some(written(seen, board.status()));
        decision.wake_at = board.next_available();
        decision
    }
}

fn written(seen: &Observed, status: Value) -> Status {
    Status {
        resource: DAEMON_SETS,
        seen: Arc::clone(&seen.set),
        status,
    }
}

/// The nodes with what they should run and what they do run.
struct Board<'a> {
    seen: &'a Observed,
    hash: &'a str,
    now: Timestamp,
    min_ready_seconds: i64,
    nodes: Vec<Place<'a>>,
}

/// One node.
struct Place<'a> {
    node: &'a Arc<Object>,
    fit: Fit,
    pods: Vec<&'a Arc<Object>>,
}

impl<'a> Board<'a> {
    fn new(seen: &'a Observed, hash: &'a str, now: Timestamp) -> Self {
        let mut by_node: BTreeMap<String, Vec<&Arc<Object>>> = BTreeMap::new();
        for pod in &seen.pods.owned {
            by_node
                .entry(place::target_node(pod))
                .or_default()
                .push(pod);
        }
        let template = place::template(&seen.set);
        let nodes = seen.nodes.iter().map(|node| Place {
            fit: place::fit(&template, node),
            pods: by_node.remove(node.name()).unwrap_or_default(),
            node,
        });
        Self {
            nodes: nodes.collect(),
            min_ready_seconds: seen
                .set
                .int_at(&["spec", "minReadySeconds"])
                .unwrap_or_default(),
            seen,
            hash,
            now,
        }
    }
    fn is_new(&self, pod: &Object) -> bool {
        pod.label(history::REVISION_LABEL) == Some(self.hash)
    }
    fn is_available(&self, pod: &Object) -> bool {
        pod::is_available(pod, self.min_ready_seconds, self.now)
    }
    fn reference(&self) -> Reference {
        Reference::new(&DAEMON_SETS, &self.seen.set)
    }

    /// Makes missing pods and removes those that do not belong where they are.
    fn place(&self, decision: &mut Decision) {
        let (mut made, mut gone) = (0, 0);
        for place in &self.nodes {
            let alive = place
                .pods
                .iter()
                .filter(|pod| pod.deletion_timestamp().is_none());
            let (ended, running): (Vec<&Arc<Object>>, Vec<_>) =
                alive.partition(|pod| pod::is_terminal(pod));
            for pod in ended.into_iter().filter(|_| place.fit.may_continue) {
                let is_failed = pod::phase(pod) == "Failed";
                let (reason, word) = if is_failed {
                    ("FailedDaemonPod", "failed")
                } else {
                    ("SucceededDaemonPod", "succeeded")
                };
                let (key, node) = (pod.key(), place.node.name());
                let end = if is_failed { "kill" } else { "delete" };
                let message =
                    format!("Found {word} daemon pod {key} on node {node}, will try to {end} it");
                let event = Event::normal(self.reference(), reason, message);
                decision.actions.push(Action::Event(Event {
                    is_warning: is_failed,
                    ..event
                }));
                decision.actions.push(self.remove(pod));
            }
            let surplus = if place.fit.may_continue {
                running.len().min(1)
            } else {
                0
            };
            if self.max_surge() == 0 || !place.fit.may_continue {
                let mut running = running.clone();
                running.sort_by_key(|pod| (!pod::is_ready(pod), pod::created_at(pod)));
                for pod in running.into_iter().skip(surplus).take(BURST - gone) {
                    gone += 1;
                    decision.actions.push(self.remove(pod));
                }
            }
            if place.fit.should_run && place.pods.is_empty() && made < BURST {
                made += 1;
                decision.actions.push(self.create(place.node));
            }
        }
        for pod in self.lost() {
            decision.actions.push(self.remove(pod));
        }
    }

    /// Pods meant for nodes that are not there and that have not got one yet.
    fn lost(&self) -> impl Iterator<Item = &'a Arc<Object>> {
        self.seen.pods.owned.iter().filter(|pod| {
            let node = place::target_node(pod);
            pod.deletion_timestamp().is_none()
                && pod::node_name(pod).is_empty()
                && self.seen.nodes.iter().all(|known| known.name() != node)
        })
    }

    fn create(&self, node: &Object) -> Action {
        Action::Create {
            resource: PODS,
            object: place::pod_for(&self.seen.set, node.name(), self.hash),
            report: Some(Report::pod_created(self.reference())),
        }
    }

    fn remove(&self, pod: &Object) -> Action {
        Action::Delete {
            resource: PODS,
            key: pod.key(),
            uid: pod.uid().to_owned(),
            resource_version: None,
            grace_seconds: None,
            propagation: Some(Propagation::Background),
            report: Some(Report::pod_deleted(self.reference())),
        }
    }

    fn status(&self) -> Value {
        let (mut desired, mut current, mut misplaced) = (0, 0, 0);
        let (mut ready, mut available, mut updated) = (0, 0, 0);
        for place in &self.nodes {
            let alive = || {
                place
                    .pods
                    .iter()
                    .filter(|pod| pod.deletion_timestamp().is_none())
            };
            if !place.fit.should_run {
                misplaced += i64::from(alive().next().is_some());
                continue;
            }
            desired += 1;
            let Some(oldest) = alive().min_by_key(|pod| pod::created_at(pod)) else {
                continue;
            };
            current += 1;
            ready += i64::from(alive().any(|pod| pod::is_ready(pod)));
            available += i64::from(alive().any(|pod| self.is_available(pod)));
            updated += i64::from(self.is_new(oldest) || alive().any(|pod| self.is_new(pod)));
        }
        let mut status = json!({
            "desiredNumberScheduled": desired, "currentNumberScheduled": current,
            "numberMisscheduled": misplaced, "numberReady": ready,
            "observedGeneration": self.seen.set.generation(),
        });
        let counts = [
            ("numberAvailable", available),
            ("numberUnavailable", desired - available),
            ("updatedNumberScheduled", updated),
        ];
        for (field, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            status.set(&[field], count.into());
        }
        for field in ["collisionCount", "conditions"] {
            if let Some(value) = self.seen.set.at(&["status", field]) {
                status.set(&[field], value.clone());
            }
        }
        status
    }

    fn next_available(&self) -> Option<Timestamp> {
        let pods = self.seen.pods.owned.iter();
        let times = pods.filter_map(|pod| pod::available_at(pod, self.min_ready_seconds));
        times.filter(|at| *at > self.now).min()
    }
}
