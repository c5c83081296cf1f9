//! Resource quotas: their status says how much of each limited thing a namespace uses, as [`kinds::quota`] counts it.
//!
//! Source: `pkg/controller/resourcequota`. Refusing what is too much is admission's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kinds::amounts::to_value;
use kinds::quota;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;

use crate::controller::{Controller, Decision, Status};
use crate::resources::{
    CONFIG_MAPS, CRON_JOBS, DEPLOYMENTS, JOBS, PERSISTENT_VOLUME_CLAIMS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, RESOURCE_QUOTAS, SECRETS, SERVICES, STATEFUL_SETS,
};
use crate::snapshot::Snapshot;

/// Kinds whose objects are counted.
const COUNTED: [Resource; 12] = [
    PODS,
    SERVICES,
    CONFIG_MAPS,
    SECRETS,
    PERSISTENT_VOLUME_CLAIMS,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    JOBS,
    CRON_JOBS,
];

/// A moment after a pod's end, when it counts no more.
const AFTER_END: SignedDuration = SignedDuration::from_millis(1);

/// The resource quota controller.
#[derive(Debug)]
pub struct ResourceQuota;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The quota.
    pub quota: Arc<Object>,
    /// The objects of its namespace, by resource: `plural` or `plural.group`.
    pub objects: BTreeMap<String, Vec<Arc<Object>>>,
}

impl Controller for ResourceQuota {
    type Observed = Observed;
    const NAME: &'static str = "resourcequota-controller";
    const SUBJECT: Resource = RESOURCE_QUOTAS;
    const WATCHES: &'static [Resource] = &COUNTED;

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        let quotas = snapshot.list(&RESOURCE_QUOTAS, object.namespace());
        let mut keys: Vec<Key> = quotas.iter().map(|quota| quota.key()).collect();
        if *resource == RESOURCE_QUOTAS && !keys.contains(&object.key()) {
            keys.push(object.key());
        }
        keys
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let quota = snapshot.get(&RESOURCE_QUOTAS, key)?;
        let list = |resource: &Resource| {
            let name = resource.group_resource().to_string();
            (name, snapshot.list(resource, &key.namespace))
        };
        let objects = COUNTED.iter().map(list).collect();
        Some(Observed { quota, objects })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let hard = seen.quota.at(&["spec", "hard"]).cloned();
        let used = quota::usage(
            &seen.quota,
            |resource| seen.objects.get(resource).cloned(),
            now,
        );
        let pods = seen.objects.get("pods").into_iter().flatten();
        let ends = pods
            .filter_map(|pod| quota::over_at(pod))
            .filter(|end| *end >= now);
        Decision {
            status: Some(Status {
                resource: RESOURCE_QUOTAS,
                seen: Arc::clone(&seen.quota),
                status: json!({ "hard": hard.unwrap_or_else(|| json!({})), "used": to_value(&used) }),
            }),
            // A pod counts until its time is over, whether or not it is gone by then.
            wake_at: ends.min().and_then(|end| end.checked_add(AFTER_END).ok()),
            ..Decision::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{World, time};

    fn used(spec: &Value, objects: Vec<(Resource, Object)>) -> Value {
        let quota = json!({ "metadata": { "name": "q", "namespace": "default" }, "spec": spec });
        let mut world = World::new(objects.into_iter().chain([(RESOURCE_QUOTAS, quota)]));
        let key = Key::new("default", "q");
        world.settle::<ResourceQuota>(&key, time(0));
        world.get(&RESOURCE_QUOTAS, &key).unwrap()["status"]["used"].clone()
    }

    fn pod(name: &str, cpu: &str) -> (Resource, Object) {
        let mut pod = crate::testing::pod(name, "", "n", None);
        let resources =
            json!({ "requests": { "cpu": cpu, "memory": "64Mi" }, "limits": { "cpu": "1" } });
        pod.set(&["spec", "containers"], json!([{ "resources": resources }]));
        (PODS, pod)
    }

    #[test]
    fn pods_and_what_they_ask_for_are_added_up() {
        let hard = json!({ "hard": { "pods": "10", "requests.cpu": "4", "memory": "1Gi", "limits.cpu": "8", "count/deployments.apps": "3" } });
        let mut ended = pod("c", "5");
        ended.1.set(&["status", "phase"], "Succeeded".into());
        let used = used(&hard, vec![pod("a", "250m"), pod("b", "500m"), ended]);
        let expected = json!({ "pods": "2", "requests.cpu": "750m", "memory": "128Mi", "limits.cpu": "2", "count/deployments.apps": "0" });
        assert_eq!(used, expected);
    }

    #[test]
    fn scopes_choose_pods() {
        let best_effort = (PODS, crate::testing::pod("b", "", "n", None));
        let spec = json!({ "hard": { "pods": "1" }, "scopes": ["BestEffort"] });
        assert_eq!(used(&spec, vec![pod("a", "1"), best_effort])["pods"], "1");
    }

    #[test]
    fn services_are_counted_by_sort() {
        let service = |name: &str, kind: &str| {
            (
                SERVICES,
                json!({
                    "metadata": { "name": name, "namespace": "default" },
                    "spec": { "type": kind, "ports": [{ "nodePort": 30000 }, { "nodePort": 30001 }] },
                }),
            )
        };
        let hard = json!({ "hard": { "services": "5", "services.nodeports": "5", "services.loadbalancers": "1", "odd": "1" } });
        let used = used(
            &hard,
            vec![service("a", "LoadBalancer"), service("b", "NodePort")],
        );
        assert_eq!(
            used,
            json!({ "services": "2", "services.nodeports": "4", "services.loadbalancers": "1" })
        );
    }
}
