//! Pod disruption budgets: how many pods may be evicted right now.
//!
//! Source: `pkg/controller/disruption`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::selector::LabelSelector;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Event, Reference};
use crate::condition;
use crate::controller::{Controller, Decision, Status};
use crate::pod;
use crate::resources::{
    DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS,
};
use crate::scaled::{Round, scaled_value};
use crate::snapshot::Snapshot;

/// Seconds after which an evicted pod that nobody deleted counts again. Source: `DeletionTimeout`.
const EVICTION_SECONDS_MAX: i64 = 120;
const ALLOWED: &str = "DisruptionAllowed";

/// The disruption controller.
#[derive(Debug)]
pub struct Disruption;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The budget.
    pub budget: Arc<Object>,
    /// The pods it selects that have not ended.
    pub pods: Vec<Arc<Object>>,
    /// How many pods their owners want together, or why that is not known.
    pub expected: Result<i64, String>,
}

impl Controller for Disruption {
    type Observed = Observed;
    const NAME: &'static str = "controllermanager";
    const SUBJECT: Resource = POD_DISRUPTION_BUDGETS;
    const WATCHES: &'static [Resource] = &[
        POD_DISRUPTION_BUDGETS,
        PODS,
        REPLICA_SETS,
        DEPLOYMENTS,
        STATEFUL_SETS,
        REPLICATION_CONTROLLERS,
    ];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == POD_DISRUPTION_BUDGETS {
            return vec![object.key()];
        }
        let labels = match &*resource.kind {
            "Pod" => object.labels(),
            _ => object
                .at(&["spec", "template"])
                .map(ObjectExt::labels)
                .unwrap_or_default(),
        };
        let budgets = snapshot.list(&POD_DISRUPTION_BUDGETS, object.namespace());
        let concerned = budgets
            .iter()
            .filter(|budget| selector(budget).is_some_and(|selector| selector.matches(&labels)));
        concerned.map(|budget| budget.key()).collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let budget = snapshot.get(&POD_DISRUPTION_BUDGETS, key)?;
        let selector = selector(&budget);
        let mut pods = snapshot.list(&PODS, &key.namespace);
        pods.retain(|pod| {
            !pod::is_terminal(pod)
                && selector
                    .as_ref()
                    .is_some_and(|selector| selector.matches(&pod.labels()))
        });
        let expected = expected(snapshot, &pods);
        Some(Observed {
            budget,
            pods,
            expected,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        if seen.pods.is_empty() {
            let regarding = Reference::new(&POD_DISRUPTION_BUDGETS, &seen.budget);
            let event = Event::normal(regarding, "NoPods", "No matching pods found");
            decision.actions.push(Action::Event(event));
        }
        let mut status = seen
            .budget
            .get("status")
            .cloned()
            .unwrap_or_else(|| json!({}));
        match limits(seen) {
            Ok((expected, desired)) => {
                count(seen, expected, desired, &mut status, &mut decision, now);
            }
            Err(why) => {
                status.set(&["disruptionsAllowed"], 0.into());
                allow(&mut status, seen, "False", "SyncFailed", &why, now);
            }
        }
        decision.status = Some(Status {
            resource: POD_DISRUPTION_BUDGETS,
            seen: Arc::clone(&seen.budget),
            status,
        });
        decision
    }
}

fn selector(budget: &Object) -> Option<LabelSelector> {
    LabelSelector::from_object(budget.at(&["spec", "selector"]))
}

/// The sizes that the pods' owners have, each owner once.
fn expected(snapshot: &dyn Snapshot, pods: &[Arc<Object>]) -> Result<i64, String> {
    let (mut owners, mut total) = (Vec::new(), 0);
    for pod in pods {
        let missing = || {
            format!(
                "found no controllers for pod {}",
                meta::field::quote(pod.name())
            )
        };
        let owner = pod.controller().ok_or_else(missing)?;
        let (owner, replicas) = size(snapshot, pod.namespace(), owner).ok_or_else(missing)?;
        if !owners.contains(&owner) {
            owners.push(owner);
            total += replicas;
        }
    }
    Ok(total)
}

/// The topmost owner with a size, and its size.
fn size(snapshot: &dyn Snapshot, namespace: &str, owner: &Value) -> Option<(String, i64)> {
    let resource = match owner.str_at(&["kind"])? {
        "ReplicaSet" => REPLICA_SETS,
        "Deployment" => DEPLOYMENTS,
        "StatefulSet" => STATEFUL_SETS,
        "ReplicationController" => REPLICATION_CONTROLLERS,
        _ => return None,
    };
    let object = snapshot.get(&resource, &Key::new(namespace, owner.str_at(&["name"])?))?;
    if resource == REPLICA_SETS
        && let Some(parent) = object.controller()
        && let Some(found) = size(snapshot, namespace, parent)
    {
        return Some(found);
    }
    Some((
        object.uid().to_owned(),
        object.int_at(&["spec", "replicas"]).unwrap_or(1),
    ))
}

/// How many pods there should be, and how many must be well.
fn limits(seen: &Observed) -> Result<(i64, i64), String> {
    let count = i64::try_from(seen.pods.len()).unwrap_or(i64::MAX);
    let spec = |field: &str| seen.budget.at(&["spec", field]);
    if let Some(value) = spec("maxUnavailable") {
        let expected = seen.expected.clone()?;
        let most = scaled_value(Some(value), expected, Round::Up).unwrap_or_default();
        return Ok((expected, (expected - most).max(0)));
    }
    match spec("minAvailable") {
        Some(value @ Value::String(_)) => {
            let expected = seen.expected.clone()?;
            let least = scaled_value(Some(value), expected, Round::Up).unwrap_or_default();
            Ok((expected, least))
        }
        value => Ok((count, value.and_then(Value::as_i64).unwrap_or_default())),
    }
}

fn count(
    seen: &Observed,
    expected: i64,
    desired: i64,
    status: &mut Value,
    decision: &mut Decision,
    now: Timestamp,
) {
    let evicted = evicted(seen, decision, now);
    let is_healthy = |pod: &&Arc<Object>| {
        pod.deletion_timestamp().is_none()
            && pod::is_ready(pod)
            && !evicted.contains_key(pod.name())
    };
    let healthy = seen.pods.iter().filter(is_healthy).count();
    let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
    let allowed = if expected <= 0 {
        0
    } else {
        (healthy - desired).max(0)
    };
    status.set(&["expectedPods"], expected.into());
    status.set(&["desiredHealthy"], desired.into());
    status.set(&["currentHealthy"], healthy.into());
    status.set(&["disruptionsAllowed"], allowed.into());
    status.set(&["observedGeneration"], seen.budget.generation().into());
    if evicted.is_empty() {
        status.remove(&["disruptedPods"]);
    } else {
        status.set(&["disruptedPods"], Value::Object(evicted));
    }
    let (value, reason) = if allowed > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    allow(status, seen, value, reason, "", now);
}

/// Pods that were evicted a moment ago and are not seen to leave yet.
fn evicted(
    seen: &Observed,
    decision: &mut Decision,
    now: Timestamp,
) -> serde_json::Map<String, Value> {
    let noted = seen
        .budget
        .at(&["status", "disruptedPods"])
        .and_then(Value::as_object);
    let mut kept = serde_json::Map::new();
    for (name, time) in noted.into_iter().flatten() {
        let pod = seen.pods.iter().find(|pod| pod.name() == name);
        let Some(pod) = pod.filter(|pod| pod.deletion_timestamp().is_none()) else {
            continue;
        };
        let at = time.as_str().and_then(meta::time::from_rfc3339);
        let until = at.and_then(|at| {
            at.checked_add(SignedDuration::from_secs(EVICTION_SECONDS_MAX))
                .ok()
        });
        match until {
            Some(until) if until > now => {
                decision.wake(until);
                kept.insert(name.clone(), time.clone());
            }
            _ => {
                let message = format!(
                    "Pod was expected by PDB {} to be deleted but it wasn't",
                    seen.budget.key()
                );
                let event = Event::warning(Reference::new(&PODS, pod), "NotDeleted", message);
                decision.actions.push(Action::Event(event));
            }
        }
    }
    kept
}

fn allow(
    status: &mut Value,
    seen: &Observed,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let known = condition::find(status, ALLOWED);
    let since = known
        .filter(|known| known.str_at(&["status"]) == Some(value))
        .and_then(|known| known.str_at(&["lastTransitionTime"]))
        .map_or_else(|| meta::time::to_rfc3339(now), str::to_owned);
    condition::put(
        status,
        json!({
            "type": ALLOWED, "status": value, "reason": reason, "message": message,
            "observedGeneration": seen.budget.generation(), "lastTransitionTime": since,
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, pod, time};

    fn status(spec: Value, ready: usize, total: usize) -> Value {
        let mut spec = spec;
        spec.set(&["selector"], json!({ "matchLabels": { "app": "web" } }));
        let budget = json!({ "metadata": { "name": "b", "namespace": "default", "generation": 2 }, "spec": spec });
        let set = json!({
            "metadata": { "name": "web", "namespace": "default", "uid": "uid-web" }, "spec": { "replicas": 4 },
        });
        let pods = (0..total).map(|n| {
            (
                PODS,
                pod(&format!("p{n}"), "web", "n", (n < ready).then_some(0)),
            )
        });
        let key = Key::new("default", "b");
        let mut world =
            World::new(pods.chain([(POD_DISRUPTION_BUDGETS, budget), (REPLICA_SETS, set)]));
        world.settle::<Disruption>(&key, time(0));
        world.get(&POD_DISRUPTION_BUDGETS, &key).unwrap()["status"].clone()
    }

    #[test]
    fn what_is_left_over_may_be_disrupted() {
        let cases = [
            (json!({ "minAvailable": 2 }), 3, 4, 1),
            (json!({ "minAvailable": "50%" }), 4, 4, 2),
            (json!({ "maxUnavailable": 1 }), 4, 4, 1),
            (json!({ "maxUnavailable": 1 }), 3, 4, 0),
            (json!({ "maxUnavailable": "25%" }), 4, 4, 1),
        ];
        for (spec, ready, total, allowed) in cases {
            let status = status(spec.clone(), ready, total);
            assert_eq!(status["disruptionsAllowed"], allowed, "{spec} {status}");
            let reason = if allowed > 0 {
                "SufficientPods"
            } else {
                "InsufficientPods"
            };
            assert_eq!(status["conditions"][0]["reason"], reason);
        }
    }

    #[test]
    fn a_pod_without_owner_has_no_expected_size() {
        let budget = json!({
            "metadata": { "name": "b", "namespace": "default" },
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": "web" } } },
        });
        let world = World::new([
            (POD_DISRUPTION_BUDGETS, budget),
            (PODS, pod("alone", "", "n", Some(0))),
        ]);
        let seen = Disruption::observe(&world, &Key::new("default", "b")).unwrap();
        let status = Disruption::decide(&seen, time(0)).status.unwrap().status;
        assert_eq!(status["conditions"][0]["reason"], "SyncFailed");
        assert_eq!(
            status["conditions"][0]["message"],
            "found no controllers for pod \"alone\""
        );
    }

    #[test]
    fn an_evicted_pod_does_not_count_until_it_is_forgotten() {
        let budget = json!({
            "metadata": { "name": "b", "namespace": "default" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } },
            "status": { "disruptedPods": { "p0": time(0).to_string() } },
        });
        let pods = ["p0", "p1"].map(|name| (PODS, pod(name, "web", "n", Some(0))));
        let world = World::new(pods.into_iter().chain([(POD_DISRUPTION_BUDGETS, budget)]));
        let seen = Disruption::observe(&world, &Key::new("default", "b")).unwrap();
        let at = |now| Disruption::decide(&seen, time(now));
        assert_eq!(at(10).status.unwrap().status["disruptionsAllowed"], 0);
        assert_eq!(at(10).wake_at, Some(time(120)));
        assert_eq!(at(121).status.unwrap().status["disruptionsAllowed"], 1);
    }
}
