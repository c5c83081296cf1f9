//! Deployments: which replica set there should be, how large each is, and how far the rollout is.
//!
//! Source: `pkg/controller/deployment`. Pods are the replica set controller's business.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};

use crate::action::{Action, Event, Reference};
use crate::claim;
use crate::controller::{Controller, Decision, Failure, Status};
use crate::pod;
use crate::resources::{DEPLOYMENTS, PODS, REPLICA_SETS};
use crate::snapshot::Snapshot;

mod plan;
mod revision;
mod rollout;
mod scale;
mod spec;
mod status;
#[cfg(test)]
mod tests;

use plan::Plan;
pub use revision::REVISION_ANNOTATION;
use spec::Strategy;

/// The deployment controller.
#[derive(Debug)]
pub struct Deployment;

/// What a deployment's decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The deployment.
    pub deployment: Arc<Object>,
    /// Its replica sets, and the patches that adopt and release.
    pub replica_sets: claim::Claims,
    /// The pods of its replica sets; read for `Recreate` alone.
    pub pods: Vec<Arc<Object>>,
    /// Whether the name that a new replica set would get belongs to another one.
    pub is_name_taken: bool,
}

impl Controller for Deployment {
    type Observed = Observed;
    const NAME: &'static str = "deployment-controller";
    const SUBJECT: Resource = DEPLOYMENTS;
    const WATCHES: &'static [Resource] = &[DEPLOYMENTS, REPLICA_SETS, PODS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == DEPLOYMENTS {
            return vec![object.key()];
        }
        if *resource == REPLICA_SETS {
            return claim::concerned_owners(snapshot, &DEPLOYMENTS, object);
        }
        recreated_by(snapshot, object).into_iter().collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let deployment = snapshot.get(&DEPLOYMENTS, key)?;
        let candidates = claim::candidates(snapshot, &REPLICA_SETS, &deployment);
        let replica_sets = claim::selector_of(&deployment)
            .map(|selector| {
                claim::claim(
                    &DEPLOYMENTS,
                    &deployment,
                    &selector,
                    &REPLICA_SETS,
                    &candidates,
                    None,
                )
            })
            .unwrap_or_default();
        let pods = if Strategy::of(&deployment) == Strategy::Recreate {
            let sets = replica_sets.owned.iter();
            sets.flat_map(|set| snapshot.controlled_by(&PODS, set.uid()))
                .collect()
        } else {
            Vec::new()
        };
        let next_name = Key::new(&key.namespace, &revision::new_name(&deployment));
        let is_name_taken = snapshot
            .get(&REPLICA_SETS, &next_name)
            .is_some_and(|taken| {
                let is_ours = taken.controller().and_then(|owner| owner.str_at(&["uid"]))
                    == Some(deployment.uid());
                !(is_ours && revision::has_template(&taken, &deployment))
            });
        Some(Observed {
            deployment,
            replica_sets,
            pods,
            is_name_taken,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut plan = Plan::new(seen, now);
        if seen.deployment.deletion_timestamp().is_some() {
            plan.note("it is being deleted: only the status is kept");
            plan.status = status::calculate(&plan);
            return plan.finish();
        }
        status::check_paused(&mut plan);
        if let Some(decision) = revision::sync(&mut plan) {
            return decision;
        }
        if plan.spec.is_paused || scale::is_scaling_event(&plan) {
            plan.note("scaling without rollout");
            scale::proportionally(&mut plan);
            if plan.spec.is_paused {
                rollout::clean_up(&mut plan);
            }
            plan.status = status::calculate(&plan);
            return plan.finish();
        }
        match plan.spec.strategy {
            Strategy::Recreate => rollout::recreate(plan),
            Strategy::RollingUpdate { .. } => rollout::rolling(plan),
        }
    }

    fn failed(seen: &Observed, failure: &Failure, now: Timestamp) -> Option<Decision> {
        let decision = Self::decide(seen, now);
        let Action::Create { object, .. } = decision.actions.get(failure.index)? else {
            return None;
        };
        if failure.code == 409 {
            return None;
        }
        let message = format!(
            "Failed to create new replica set {}: {}",
            meta::field::quote(object.name()),
            failure.message
        );
        let regarding = Reference::new(&DEPLOYMENTS, &seen.deployment);
        let mut plan = Plan::new(seen, now);
        if plan.spec.progress_deadline_seconds.is_some() {
            let reason = "ReplicaSetCreateError";
            status::set(
                &mut plan.status,
                "Progressing",
                "False",
                reason,
                &message,
                now,
            );
        }
        Some(Decision {
            actions: vec![Action::Event(Event::warning(
                regarding,
                "ReplicaSetCreateError",
                message,
            ))],
            status: Some(Status {
                resource: DEPLOYMENTS,
                seen: Arc::clone(&seen.deployment),
                status: plan.status,
            }),
            ..Decision::default()
        })
    }
}

/// The deployment that waits for a pod to end before it makes new ones; others do not look at pods.
fn recreated_by(snapshot: &dyn Snapshot, object: &Object) -> Option<Key> {
    if pod::is_active(object) {
        return None;
    }
    let set = object
        .controller()
        .filter(|owner| owner.str_at(&["kind"]) == Some("ReplicaSet"))?;
    let key = Key::new(object.namespace(), set.str_at(&["name"])?);
    let set = snapshot.get(&REPLICA_SETS, &key)?;
    let owner = set
        .controller()
        .filter(|owner| owner.str_at(&["kind"]) == Some("Deployment"))?;
    let key = Key::new(object.namespace(), owner.str_at(&["name"])?);
    let deployment = snapshot.get(&DEPLOYMENTS, &key)?;
    (Strategy::of(&deployment) == Strategy::Recreate).then_some(key)
}
