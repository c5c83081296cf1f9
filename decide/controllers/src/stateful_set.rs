//! Stateful sets: pods with stable names, made in order, each with its own claims.
//!
//! Source: `pkg/controller/statefulset`.
//!
//! Left out: the retention policy of claims, more than one unavailable pod in a rolling update.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::claim;
use crate::controller::{Controller, Decision, Status};
use crate::history;
use crate::pod;
use crate::resources::{CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS};
use crate::snapshot::Snapshot;

mod identity;
mod step;
#[cfg(test)]
mod tests;

/// The stateful set controller.
#[derive(Debug)]
pub struct StatefulSet;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The stateful set.
    pub set: Arc<Object>,
    /// Its pods.
    pub pods: claim::Claims,
    /// Its revisions.
    pub revisions: Vec<Arc<Object>>,
    /// Names of the claims in its namespace that belong to its pods.
    pub claims: Vec<String>,
}

impl Controller for StatefulSet {
    type Observed = Observed;
    const NAME: &'static str = "statefulset-controller";
    const SUBJECT: Resource = STATEFUL_SETS;
    const WATCHES: &'static [Resource] = &[
        STATEFUL_SETS,
        PODS,
        PERSISTENT_VOLUME_CLAIMS,
        CONTROLLER_REVISIONS,
    ];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        match &*resource.kind {
            "StatefulSet" => vec![object.key()],
            "Pod" => claim::concerned_owners(snapshot, &STATEFUL_SETS, object),
            "ControllerRevision" if object.controller().is_some() => {
                claim::concerned_owners(snapshot, &STATEFUL_SETS, object)
            }
            _ => Vec::new(),
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let set = snapshot.get(&STATEFUL_SETS, key)?;
        let candidates = claim::candidates(snapshot, &PODS, &set);
        let selector = claim::selector_of(&set);
        let mut pods = selector
            .map(|selector| claim::claim(&STATEFUL_SETS, &set, &selector, &PODS, &candidates, None))
            .unwrap_or_default();
        pods.owned
            .retain(|pod| identity::ordinal(&set, pod.name()).is_some());
        let suffix = format!("-{}-", key.name);
        let claims = snapshot.list(&PERSISTENT_VOLUME_CLAIMS, &key.namespace);
        let claims = claims.iter().map(|claim| claim.name().to_owned());
        let claims = claims.filter(|name| name.contains(&suffix)).collect();
        let revisions = snapshot.controlled_by(&CONTROLLER_REVISIONS, set.uid());
        Some(Observed {
            set,
            pods,
            revisions,
            claims,
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
        let update = history::current(&STATEFUL_SETS, &seen.set, &seen.revisions);
        let mut status = seen.set.get("status").cloned().unwrap_or_else(|| json!({}));
        if update.is_collision {
            let count = status.int_at(&["collisionCount"]).unwrap_or_default();
            status.set(&["collisionCount"], (count + 1).into());
        } else if let Some(action) = update.action {
            decision.actions.push(action);
            // Pods are made from a revision, so the revision is there before them.
            return decision;
        } else {
            let plan = Plan::new(seen, &update.name, now);
            plan.step(&mut decision);
            status = plan.status();
            let mut used: Vec<&str> = plan
                .pods
                .values()
                .filter_map(|pod| revision_of(pod))
                .collect();
            used.extend([update.name.as_str(), plan.current]);
            decision
                .actions
                .extend(history::trim(&seen.set, &seen.revisions, &used));
            decision.wake_at = plan.next_available();
        }
        let (resource, seen) = (STATEFUL_SETS, Arc::clone(&seen.set));
        decision.status = Some(Status {
            resource,
            seen,
            status,
        });
        decision
    }
}

fn revision_of(pod: &Object) -> Option<&str> {
    pod.label(history::REVISION_LABEL)
}

/// One decision in the making.
struct Plan<'a> {
    seen: &'a Observed,
    /// Pods by ordinal.
    pods: BTreeMap<i64, &'a Arc<Object>>,
    /// Name of the revision pods had before the update.
    current: &'a str,
    /// Name of the revision pods should have.
    update: &'a str,
    first: i64,
    replicas: i64,
    min_ready_seconds: i64,
    now: Timestamp,
}

impl<'a> Plan<'a> {
    fn new(seen: &'a Observed, update: &'a str, now: Timestamp) -> Self {
        let set = &seen.set;
        let current = set.str_at(&["status", "currentRevision"]).unwrap_or(update);
        let is_known = seen
            .revisions
            .iter()
            .any(|revision| revision.name() == current);
        let pods = seen.pods.owned.iter();
        let pods = pods.filter_map(|pod| Some((identity::ordinal(set, pod.name())?, pod)));
        Self {
            pods: pods.collect(),
            current: if is_known { current } else { update },
            update,
            first: set
                .int_at(&["spec", "ordinals", "start"])
                .unwrap_or_default(),
            replicas: set.int_at(&["spec", "replicas"]).unwrap_or(1),
            min_ready_seconds: set.int_at(&["spec", "minReadySeconds"]).unwrap_or_default(),
            now,
            seen,
        }
    }
    fn is_ordered(&self) -> bool {
        self.seen.set.str_at(&["spec", "podManagementPolicy"]) != Some("Parallel")
    }
    fn ordinals(&self) -> std::ops::Range<i64> {
        self.first..self.first.saturating_add(self.replicas)
    }
    /// Whether a pod is fully there.
    fn is_available(&self, pod: &Object) -> bool {
        pod::is_active(pod)
            && pod::phase(pod) == "Running"
            && pod::is_available(pod, self.min_ready_seconds, self.now)
    }
    /// The first ordinal that an update touches.
    fn partition(&self) -> i64 {
        let partition = ["spec", "updateStrategy", "rollingUpdate", "partition"];
        self.first + self.seen.set.int_at(&partition).unwrap_or_default()
    }
    fn rolls(&self) -> bool {
        self.seen.set.str_at(&["spec", "updateStrategy", "type"]) != Some("OnDelete")
    }
    /// The revision that a new pod of an ordinal gets.
    fn revision_for(&self, ordinal: i64) -> &'a str {
        if self.rolls() && ordinal < self.partition() {
            self.current
        } else {
            self.update
        }
    }

    fn status(&self) -> Value {
        let set = &self.seen.set;
        let count = |is: &dyn Fn(&Object) -> bool| self.pods.values().filter(|pod| is(pod)).count();
        let is_ready = |pod: &Object| pod::phase(pod) == "Running" && pod::is_ready(pod);
        let of = |name: &'a str| {
            move |pod: &Object| pod.deletion_timestamp().is_none() && revision_of(pod) == Some(name)
        };
        let updated = count(&of(self.update));
        let replicas = count(&|_| true);
        let ready = count(&is_ready);
        let wanted = usize::try_from(self.replicas).unwrap_or_default();
        let is_done = updated == wanted && replicas == wanted && ready == wanted;
        let current = if is_done && self.rolls() {
            self.update
        } else {
            self.current
        };
        let mut status = json!({
            "observedGeneration": set.generation(), "replicas": replicas,
            "availableReplicas": count(&|pod| self.is_available(pod)),
            "currentRevision": current, "updateRevision": self.update,
            "collisionCount": set.int_at(&["status", "collisionCount"]).unwrap_or_default(),
        });
        let counts = [
            ("readyReplicas", ready),
            ("currentReplicas", count(&of(current))),
            ("updatedReplicas", updated),
        ];
        for (field, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            status.set(&[field], count.into());
        }
        if let Some(conditions) = set.at(&["status", "conditions"]) {
            status.set(&["conditions"], conditions.clone());
        }
        status
    }

    fn next_available(&self) -> Option<Timestamp> {
        let pods = self.pods.values();
        let times = pods.filter_map(|pod| pod::available_at(pod, self.min_ready_seconds));
        times.filter(|at| *at > self.now).min()
    }
}
