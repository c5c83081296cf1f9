//! Nodes that stop reporting: their conditions become unknown, taints follow conditions, their pods count as not ready.
//!
//! Source: `pkg/controller/nodelifecycle`. Pods that taints drive away are `taint_eviction`'s business.
//!
// DIFFERS: upstream evicts at a rate per zone; here evictions wait only while no node at all is healthy. What the status
// of a node says of its last heartbeat counts only where there is no lease, and by the clock that nodes have in common.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Event, Reference, edited, update, update_at};
use crate::condition;
use crate::controller::{Controller, Decision};
use crate::pod;
use crate::resources::{LEASES, NODES, PODS};
use crate::snapshot::Snapshot;

/// Seconds of silence after which a node counts as unknown. Source: `--node-monitor-grace-period`, 1.32 and later.
const GRACE_SECONDS: i64 = 50;
/// The same for a node that never reported. Source: `--node-startup-grace-period`.
const STARTUP_GRACE_SECONDS: i64 = 60;
const LEASE_NAMESPACE: &str = "kube-node-lease";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Conditions that become unknown with a silent node.
const REPORTED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
/// Taints that follow conditions which are true.
const PRESSURES: [(&str, &str); 4] = [
    ("MemoryPressure", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "node.kubernetes.io/disk-pressure"),
    (
        "NetworkUnavailable",
        "node.kubernetes.io/network-unavailable",
    ),
    ("PIDPressure", "node.kubernetes.io/pid-pressure"),
];

/// The node lifecycle controller.
#[derive(Debug)]
pub struct NodeLifecycle;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The node.
    pub node: Arc<Object>,
    /// How long its lease was not renewed, as this process saw it; `None` when there is none.
    pub unrenewed_for: Option<SignedDuration>,
    /// Its pods, read only while it is not ready.
    pub pods: Vec<Arc<Object>>,
    /// Whether some node is ready.
    pub is_any_ready: bool,
    /// Since when this process follows the cluster.
    pub watching_since: Timestamp,
}

impl Controller for NodeLifecycle {
    type Observed = Observed;
    const NAME: &'static str = "node-controller";
    const SUBJECT: Resource = NODES;
    const WATCHES: &'static [Resource] = &[NODES, LEASES, PODS];

    fn concerns(_: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        match &*resource.kind {
            "Node" => vec![object.key()],
            "Lease" if object.namespace() == LEASE_NAMESPACE => vec![Key::new("", object.name())],
            "Pod" if pod::is_ready(object) => vec![Key::new("", pod::node_name(object))],
            _ => Vec::new(),
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let node = snapshot.get(&NODES, key)?;
        let is_ready = is_ready(&node);
        let pods = if is_ready {
            Vec::new()
        } else {
            snapshot.on_node(&PODS, &key.name)
        };
        Some(Observed {
            unrenewed_for: snapshot.unchanged_for(&LEASES, &Key::new(LEASE_NAMESPACE, &key.name)),
            pods,
            is_any_ready: is_ready
                || snapshot
                    .list(&NODES, "")
                    .iter()
                    .any(|node| self::is_ready(node)),
            watching_since: snapshot.settings().watching_since,
            node,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let silent_at = silent_at(seen, now);
        if silent_at > now {
            decision.wake(silent_at);
        } else if let Some(patch) = silenced(&seen.node, now) {
            decision.why.push("the node stopped reporting".to_owned());
            if is_ready(&seen.node) {
                let regarding = Reference::new(&NODES, &seen.node);
                let message = format!("Node {} status is now: NodeNotReady", seen.node.name());
                decision.actions.push(Action::Event(Event::normal(
                    regarding,
                    "NodeNotReady",
                    message,
                )));
            }
            decision.actions.push(patch);
            return decision;
        }
        decision.actions.extend(tainted(seen, now));
        if !is_ready(&seen.node) {
            let pods = seen.pods.iter().filter(|pod| pod::is_ready(pod));
            decision
                .actions
                .extend(pods.flat_map(|pod| not_ready(pod, now)));
        }
        decision
    }
}

fn is_ready(node: &Object) -> bool {
    node.get("status")
        .is_some_and(|status| condition::is_true(status, "Ready"))
}

/// When the node counts as silent.
///
/// Nothing that the node wrote is read where it has a lease: its clock may be another, and ours may be set at any time.
fn silent_at(seen: &Observed, now: Timestamp) -> Timestamp {
    if let Some(unrenewed) = seen.unrenewed_for {
        let left = SignedDuration::from_secs(GRACE_SECONDS).saturating_sub(unrenewed);
        return now.saturating_add(left).unwrap_or(now);
    }
    let ready = seen
        .node
        .get("status")
        .and_then(|status| condition::find(status, "Ready"));
    let heard = ready
        .and_then(|ready| ready.str_at(&["lastHeartbeatTime"]))
        .and_then(meta::time::from_rfc3339);
    let grace = if heard.is_some() {
        GRACE_SECONDS
    } else {
        STARTUP_GRACE_SECONDS
    };
    let heard = heard
        .or_else(|| pod::created_at(&seen.node))
        .unwrap_or(seen.watching_since);
    let heard = heard.max(seen.watching_since);
    heard
        .saturating_add(SignedDuration::from_secs(grace))
        .unwrap_or(heard)
}

/// The write that marks what a silent node last said as unknown; `None` when that is done.
fn silenced(node: &Arc<Object>, now: Timestamp) -> Option<Action> {
    let mut status = node.get("status").cloned().unwrap_or_else(|| json!({}));
    let now = meta::time::to_rfc3339(now);
    for kind in REPORTED {
        let mut known = condition::find(&status, kind).cloned();
        match &mut known {
            Some(known) if known.str_at(&["status"]) == Some("Unknown") => continue,
            Some(known) => {
                known.set(&["reason"], "NodeStatusUnknown".into());
                known.set(&["message"], "Kubelet stopped posting node status.".into());
            }
            None => {
                let created = node
                    .str_at(&["metadata", "creationTimestamp"])
                    .unwrap_or(&now);
                known = Some(json!({
                    "type": kind, "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.", "lastHeartbeatTime": created,
                }));
            }
        }
        if let Some(mut known) = known {
            known.set(&["status"], "Unknown".into());
            known.set(&["lastTransitionTime"], now.clone().into());
            replace(&mut status, known);
        }
    }
    let right = edited(node, |node| node.set(&["status"], status));
    update_at(&NODES, Some("status"), node, &right)
}

/// Puts a condition where the one of its type stands.
fn replace(status: &mut Value, condition: Value) {
    let kind = condition.get("type").cloned();
    if let Some(Value::Array(conditions)) = status.get_mut("conditions")
        && let Some(known) = conditions
            .iter_mut()
            .find(|known| known.get("type") == kind.as_ref())
    {
        *known = condition;
        return;
    }
    condition::put(status, condition);
}

/// The write that makes the taints follow the conditions; `None` when they do.
fn tainted(seen: &Observed, now: Timestamp) -> Option<Action> {
    let node = &seen.node;
    let nothing = json!({});
    let status = node.get("status").unwrap_or(&nothing);
    let ready = condition::status_of(status, "Ready");
    let mut keys: Vec<&str> = match ready {
        Some("False") => vec![NOT_READY],
        Some("Unknown") => vec![UNREACHABLE],
        _ => Vec::new(),
    };
    let trouble = keys.first().copied();
    let pressed = PRESSURES
        .iter()
        .filter(|(kind, _)| condition::is_true(status, kind));
    keys.extend(pressed.map(|(_, key)| *key));
    if node.bool_at(&["spec", "unschedulable"]) == Some(true) {
        keys.push(UNSCHEDULABLE);
    }
    let mut wanted: Vec<(&str, &str)> = keys.into_iter().map(|key| (key, "NoSchedule")).collect();
    if let Some(key) = trouble {
        let is_there = node.list_at(&["spec", "taints"]).iter().any(|taint| {
            taint.str_at(&["key"]) == Some(key) && taint.str_at(&["effect"]) == Some("NoExecute")
        });
        if seen.is_any_ready || is_there {
            wanted.push((key, "NoExecute"));
        }
    }
    // A node that never reported keeps the taint it was registered with.
    let is_ours = |key: &str, effect: &str| match effect {
        "NoExecute" => matches!(key, NOT_READY | UNREACHABLE) && ready.is_some(),
        "NoSchedule" if matches!(key, NOT_READY | UNREACHABLE) => ready.is_some(),
        "NoSchedule" => key == UNSCHEDULABLE || PRESSURES.iter().any(|(_, known)| *known == key),
        _ => false,
    };
    let text = |taint: &Value, field: &str| taint.str_at(&[field]).unwrap_or_default().to_owned();
    let mut taints = node.list_at(&["spec", "taints"]).to_vec();
    taints.retain(|taint| {
        let (key, effect) = (text(taint, "key"), text(taint, "effect"));
        !is_ours(&key, &effect) || wanted.contains(&(key.as_str(), effect.as_str()))
    });
    for (key, effect) in wanted {
        let is_there = |taint: &Value| text(taint, "key") == key && text(taint, "effect") == effect;
        if !taints.iter().any(is_there) {
            let added = meta::time::to_rfc3339(now);
            taints.push(json!({ "key": key, "effect": effect, "timeAdded": added }));
        }
    }
    if taints == node.list_at(&["spec", "taints"]) {
        return None;
    }
    let right = edited(node, |node| {
        if taints.is_empty() {
            node.remove(&["spec", "taints"]);
        } else {
            node.set(&["spec", "taints"], Value::Array(taints));
        }
    });
    update(&NODES, node, &right)
}

/// Marks a pod as not ready, because nobody can tell.
fn not_ready(pod: &Arc<Object>, now: Timestamp) -> Vec<Action> {
    let right = edited(pod, |pod| {
        let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
        if let Some(mut ready) = condition::find(&status, "Ready").cloned() {
            ready.set(&["status"], "False".into());
            ready.set(&["lastTransitionTime"], meta::time::to_rfc3339(now).into());
            replace(&mut status, ready);
        }
        pod.set(&["status"], status);
    });
    let event = Event::warning(
        Reference::new(&PODS, pod),
        "NodeNotReady",
        "Node is not ready",
    );
    update_at(&PODS, Some("status"), pod, &right)
        .into_iter()
        .chain([Action::Event(event)])
        .collect()
}

#[cfg(test)]
mod tests;
