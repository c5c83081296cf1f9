//! What to do next: fill gaps from the lowest ordinal, shrink from the highest, update from the highest.

use std::sync::Arc;

use meta::{Object, ObjectExt};
use serde_json::json;

use super::{Plan, identity, revision_of};
use crate::action::{Action, Propagation, Reference, Report};
use crate::controller::Decision;
use crate::history;
use crate::pod;
use crate::resources::{PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS};

impl Plan<'_> {
    /// Adds the next steps to a decision.
    pub(super) fn step(&self, decision: &mut Decision) {
        if self.fill(decision) && self.shrink(decision) && self.rolls() {
            self.update(decision);
        }
    }

    /// Makes what is missing; false when the rest has to wait.
    fn fill(&self, decision: &mut Decision) -> bool {
        for ordinal in self.ordinals() {
            match self.pods.get(&ordinal) {
                None => {
                    decision.actions.extend(self.create(ordinal));
                    if self.is_ordered() {
                        return false;
                    }
                }
                Some(pod) if pod::is_terminal(pod) => {
                    // Its name is needed for the one that takes its place.
                    if pod.deletion_timestamp().is_none() {
                        decision.actions.push(self.remove(pod));
                    }
                    if self.is_ordered() {
                        return false;
                    }
                }
                Some(pod) => {
                    decision.actions.extend(self.missing_claims(ordinal));
                    if self.is_ordered() && !self.is_available(pod) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Removes what is too much, the highest ordinal first; false when the rest has to wait.
    ///
    /// In order, a pod that is not available goes only if none below it is unavailable too: a set whose pods are unwell does
    /// not shrink on. Source: `processCondemned`.
    fn shrink(&self, decision: &mut Decision) -> bool {
        let wanted = self.ordinals();
        let surplus: Vec<&Arc<Object>> = self
            .pods
            .iter()
            .rev()
            .filter(|(ordinal, _)| !wanted.contains(ordinal))
            .map(|(_, pod)| *pod)
            .collect();
        let lowest_unavailable = surplus.iter().rfind(|pod| !self.is_available(pod));
        for pod in &surplus {
            let is_leaving = pod.deletion_timestamp().is_some();
            let waits = self.is_ordered()
                && !self.is_available(pod)
                && lowest_unavailable.is_some_and(|lowest| !Arc::ptr_eq(lowest, pod));
            if waits {
                let why = format!("{} is not available, nor is one below", pod.name());
                decision.why.push(why);
            } else if !is_leaving {
                decision.actions.push(self.remove(pod));
            }
            if self.is_ordered() {
                return false;
            }
        }
        surplus.is_empty()
    }

    /// Replaces the highest pod that is not of the new revision, once those above it are well.
    fn update(&self, decision: &mut Decision) {
        for ordinal in self
            .ordinals()
            .rev()
            .take_while(|ordinal| *ordinal >= self.partition())
        {
            let Some(pod) = self.pods.get(&ordinal) else {
                return;
            };
            if pod.deletion_timestamp().is_some() {
                return;
            }
            if revision_of(pod) != Some(self.update) {
                decision
                    .why
                    .push(format!("{} is not of the new revision", pod.name()));
                decision.actions.push(self.remove(pod));
                return;
            }
            if !self.is_available(pod) {
                return;
            }
        }
    }

    fn missing_claims(&self, ordinal: i64) -> Vec<Action> {
        let set = &self.seen.set;
        let claims = identity::claims(set, ordinal).into_iter();
        let missing =
            claims.filter(|claim| self.seen.claims.iter().all(|known| known != claim.name()));
        let pod = identity::pod_name(set, ordinal);
        let create = |object: Object| {
            let text = format!(
                "Claim {} Pod {pod} in StatefulSet {}",
                object.name(),
                set.name()
            );
            Action::Create {
                resource: PERSISTENT_VOLUME_CLAIMS,
                object,
                report: Some(Report {
                    regarding: Reference::new(&STATEFUL_SETS, set),
                    done: ("SuccessfulCreate", format!("create {text} success")),
                    failed: ("FailedCreate", format!("create {text} failed error: {{}}")),
                }),
            }
        };
        missing.map(create).collect()
    }

    /// The claims first: the pod waits for them anyway.
    fn create(&self, ordinal: i64) -> Vec<Action> {
        let set = &self.seen.set;
        let revision = self.revision_for(ordinal);
        let known = self
            .seen
            .revisions
            .iter()
            .find(|known| known.name() == revision);
        let template = known.and_then(|known| history::template(known));
        let template = template
            .or_else(|| set.at(&["spec", "template"]).cloned())
            .unwrap_or_else(|| json!({}));
        let mut actions = self.missing_claims(ordinal);
        actions.push(Action::Create {
            resource: PODS,
            object: identity::pod_for(set, ordinal, revision, &template),
            report: Some(self.report("Create", "create", &identity::pod_name(set, ordinal))),
        });
        actions
    }

    fn remove(&self, pod: &Object) -> Action {
        Action::Delete {
            resource: PODS,
            key: pod.key(),
            uid: pod.uid().to_owned(),
            resource_version: None,
            grace_seconds: None,
            propagation: Some(Propagation::Background),
            report: Some(self.report("Delete", "delete", pod.name())),
        }
    }

    fn report(&self, reason: &str, verb: &str, pod: &str) -> Report {
        let (done, failed) = if reason == "Create" {
            ("SuccessfulCreate", "FailedCreate")
        } else {
            ("SuccessfulDelete", "FailedDelete")
        };
        let text = format!("{verb} Pod {pod} in StatefulSet {}", self.seen.set.name());
        Report {
            regarding: Reference::new(&STATEFUL_SETS, &self.seen.set),
            done: (done, format!("{text} successful")),
            failed: (failed, format!("{text} failed error: {{}}")),
        }
    }
}
