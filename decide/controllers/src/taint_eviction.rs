//! Pods on nodes with `NoExecute` taints: driven away at once, after the time they tolerate, or never.
//!
//! Source: `pkg/controller/tainteviction`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::taint::{Taint, Toleration};
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Event, Reference, delete, edited, update_at};
use crate::condition;
use crate::controller::{Controller, Decision};
use crate::pod;
use crate::resources::{NODES, PODS};
use crate::snapshot::Snapshot;

/// The taint eviction controller.
#[derive(Debug)]
pub struct TaintEviction;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// A pod that is not on its way out.
    pub pod: Arc<Object>,
    /// The `NoExecute` taints of its node; at least one.
    pub taints: Vec<Value>,
}

fn drives_away(node: &Object) -> Vec<Value> {
    let taints = node.list_at(&["spec", "taints"]).iter();
    taints
        .filter(|taint| taint.str_at(&["effect"]) == Some("NoExecute"))
        .cloned()
        .collect()
}

impl Controller for TaintEviction {
    type Observed = Observed;
    const NAME: &'static str = "taint-eviction-controller";
    const SUBJECT: Resource = PODS;
    const WATCHES: &'static [Resource] = &[PODS, NODES];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == PODS {
            return vec![object.key()];
        }
        if drives_away(object).is_empty() {
            return Vec::new();
        }
        snapshot
            .on_node(&PODS, object.name())
            .iter()
            .map(|pod| pod.key())
            .collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let pod = snapshot.get(&PODS, key).filter(|pod| pod::is_active(pod))?;
        let node = snapshot.get(&NODES, &Key::new("", pod::node_name(&pod)))?;
        let taints = drives_away(&node);
        (!taints.is_empty()).then_some(Observed { pod, taints })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        match leaves_at(seen) {
            None => {}
            Some(at) if at > now => decision.wake(at),
            Some(_) => decision.actions = evict(&seen.pod, now),
        }
        decision
    }
}

/// When the pod must go; `None`: it may stay.
fn leaves_at(seen: &Observed) -> Option<Timestamp> {
    let tolerations = seen.pod.list_at(&["spec", "tolerations"]);
    let tolerations: Vec<Toleration> = tolerations.iter().map(Toleration::read).collect();
    let mut earliest: Option<Timestamp> = None;
    for value in &seen.taints {
        let Some(taint) = Taint::read(value) else {
            continue;
        };
        let mut fitting = tolerations
            .iter()
            .filter(|toleration| toleration.tolerates(&taint))
            .peekable();
        if fitting.peek().is_none() {
            return Some(Timestamp::UNIX_EPOCH);
        }
        let Some(seconds) = fitting.filter_map(|toleration| toleration.seconds).min() else {
            continue;
        };
        let added = value
            .str_at(&["timeAdded"])
            .and_then(meta::time::from_rfc3339);
        let added = added.unwrap_or(Timestamp::UNIX_EPOCH);
        let at = added
            .saturating_add(SignedDuration::from_secs(seconds.max(0)))
            .unwrap_or(added);
        earliest = Some(earliest.map_or(at, |known| known.min(at)));
    }
    earliest
}

fn evict(pod: &Arc<Object>, now: Timestamp) -> Vec<Action> {
    let marked = disrupted(
        pod,
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
        now,
    );
    let message = format!("Marking for deletion Pod {}", pod.key());
    let event = Event::normal(Reference::new(&PODS, pod), "TaintManagerEviction", message);
    let mut actions = vec![Action::Event(event)];
    actions.extend(update_at(&PODS, Some("status"), pod, &marked));
    actions.push(delete(&PODS, pod));
    actions
}

/// The pod with the condition that says why it is disrupted.
pub(crate) fn disrupted(pod: &Arc<Object>, reason: &str, message: &str, now: Timestamp) -> Object {
    edited(pod, |pod| {
        let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
        condition::set(
            &mut status,
            "DisruptionTarget",
            "True",
            reason,
            message,
            now,
            &[],
        );
        pod.set(&["status"], status);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, pod, time};

    fn decide(tolerations: Value, now: i64) -> Decision {
        let mut placed = pod("a", "", "node-1", Some(0));
        placed.set(&["spec", "tolerations"], tolerations);
        let node = json!({ "metadata": { "name": "node-1" }, "spec": { "taints": [
            { "key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": time(0).to_string() },
        ]}});
        let world = World::new([(PODS, placed), (NODES, node)]);
        let seen = TaintEviction::observe(&world, &Key::new("default", "a")).unwrap();
        TaintEviction::decide(&seen, time(now))
    }

    #[test]
    fn a_pod_that_tolerates_nothing_goes_at_once() {
        let decision = decide(json!([]), 1);
        assert!(matches!(
            decision.actions.last(),
            Some(Action::Delete { .. })
        ));
        assert_eq!(
            crate::testing::events(&decision),
            ["TaintManagerEviction: Marking for deletion Pod default/a"]
        );
    }

    #[test]
    fn a_pod_stays_as_long_as_it_tolerates() {
        let for_seconds = json!([{ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300 }]);
        assert_eq!(decide(for_seconds.clone(), 10).wake_at, Some(time(300)));
        assert_eq!(decide(for_seconds, 300).actions.len(), 3);
        let always = json!([{ "operator": "Exists" }]);
        assert_eq!(decide(always, 9999), Decision::default());
    }
}
