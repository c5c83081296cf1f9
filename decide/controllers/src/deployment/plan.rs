//! The state of one decision: the replica sets as they were seen and as they should become.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::spec::Spec;
use super::{Observed, revision};
use crate::action::{self, Action, Event, Reference};
use crate::controller::{Decision, Status};
use crate::pod::created_at;
use crate::resources::{DEPLOYMENTS, REPLICA_SETS};

/// How many replicas a deployment wanted when it last sized a replica set. Source: `deployment_util.go`.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The same, with the surge. Source: `deployment_util.go`.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// One replica set of the deployment.
#[derive(Clone, Debug)]
pub(super) struct Set {
    pub(super) seen: Arc<Object>,
    pub(super) wanted: Object,
    pub(super) created: Option<Timestamp>,
}

impl Set {
    fn new(seen: &Arc<Object>) -> Self {
        Self {
            seen: Arc::clone(seen),
            wanted: Object::clone(seen),
            created: created_at(seen),
        }
    }
    pub(super) fn name(&self) -> &str {
        self.seen.name()
    }
    /// Its size once this decision is done.
    pub(super) fn replicas(&self) -> i64 {
        self.wanted.int_at(&["spec", "replicas"]).unwrap_or(1)
    }
    pub(super) fn is_active(&self) -> bool {
        self.replicas() > 0
    }
    pub(super) fn count(&self, field: &str) -> i64 {
        self.seen.int_at(&["status", field]).unwrap_or_default()
    }
    pub(super) fn available(&self) -> i64 {
        self.count("availableReplicas")
    }
    /// A number in an annotation; `None` when it is missing, malformed or negative.
    pub(super) fn noted(&self, annotation: &str) -> Option<i64> {
        self.wanted
            .annotation(annotation)?
            .parse::<u32>()
            .ok()
            .map(i64::from)
    }
    pub(super) fn set_annotation(&mut self, name: &str, value: &str) {
        self.wanted
            .set(&["metadata", "annotations", name], value.into());
    }
    fn note_sizes(&mut self, spec: &Spec) {
        self.set_annotation(DESIRED_REPLICAS, &spec.replicas.to_string());
        self.set_annotation(
            MAX_REPLICAS,
            &(spec.replicas + spec.max_surge()).to_string(),
        );
    }
    /// Gives it a size; says whether that changes anything.
    pub(super) fn resize(&mut self, replicas: i64, spec: &Spec) -> bool {
        if self.replicas() == replicas {
            return false;
        }
        self.resize_always(replicas, spec);
        true
    }
    /// Gives it a size, and notes the deployment's even when the size is right.
    pub(super) fn resize_always(&mut self, replicas: i64, spec: &Spec) {
        self.wanted.set(&["spec", "replicas"], replicas.into());
        self.note_sizes(spec);
    }
}

/// One decision in the making.
pub(super) struct Plan<'a> {
    pub(super) seen: &'a Observed,
    pub(super) spec: Spec,
    pub(super) now: Timestamp,
    /// The status as decided so far.
    pub(super) status: Value,
    /// The set whose template is the deployment's.
    pub(super) new: Option<Set>,
    /// The others, oldest first.
    pub(super) old: Vec<Set>,
    pub(super) decision: Decision,
}

impl<'a> Plan<'a> {
    pub(super) fn new(seen: &'a Observed, now: Timestamp) -> Self {
        let mut sets: Vec<Set> = seen.replica_sets.owned.iter().map(Set::new).collect();
        sets.sort_by(|a, b| (a.created, a.name()).cmp(&(b.created, b.name())));
        let new = sets
            .iter()
            .position(|set| revision::has_template(&set.seen, &seen.deployment))
            .map(|at| sets.remove(at));
        Self {
            seen,
            spec: Spec::of(&seen.deployment),
            now,
            status: seen
                .deployment
                .get("status")
                .cloned()
                .unwrap_or_else(|| json!({})),
            new,
            old: sets,
            decision: Decision {
                actions: seen.replica_sets.actions.clone(),
                ..Decision::default()
            },
        }
    }

    pub(super) fn deployment(&self) -> &Arc<Object> {
        &self.seen.deployment
    }
    /// Every set, old ones first.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }
    pub(super) fn total(&self) -> i64 {
        self.sets().map(Set::replicas).sum()
    }
    pub(super) fn available(&self) -> i64 {
        self.sets().map(Set::available).sum()
    }
    pub(super) fn note(&mut self, why: &str) {
        self.decision.why.push(why.to_owned());
    }
    pub(super) fn reference(&self) -> Reference {
        Reference::new(&DEPLOYMENTS, self.deployment())
    }

    /// Turns the changed sets into patches and events, and adds the status.
    pub(super) fn finish(mut self) -> Decision {
        let regarding = self.reference();
        for set in self.old.iter().chain(&self.new) {
            let Some(patch) = action::update(&REPLICA_SETS, &set.seen, &set.wanted) else {
                continue;
            };
            self.decision.actions.push(patch);
            let from = set.seen.int_at(&["spec", "replicas"]).unwrap_or(1);
            let to = set.replicas();
            if from != to {
                let direction = if to > from { "up" } else { "down" };
                let name = set.name();
                let message = format!("Scaled {direction} replica set {name} from {from} to {to}");
                let event = Event::normal(regarding.clone(), "ScalingReplicaSet", message);
                self.decision.actions.push(Action::Event(event));
            }
        }
        self.decision.status = Some(Status {
            resource: DEPLOYMENTS,
            seen: Arc::clone(self.deployment()),
            status: self.status,
        });
        self.decision
    }
}
