//! Resource quotas: their status says how much of each limited thing a namespace uses, as [`kinds::quota`] counts it.
//!
//! Source: `pkg/controller/resourcequota`. Refusing what is too much is admission's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kinds::Lookup;
use kinds::amounts::{amounts, to_value};
use kinds::quota::{self, Meter};
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;

use crate::controller::{Controller, Decision, Status};
use crate::resources::{
    DEVICE_CLASSES, PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS, SERVICES,
};
use crate::snapshot::Snapshot;

/// Kinds whose objects are read. Those of all other kinds are only counted.
const READ: [Resource; 6] = [
    PODS,
    SERVICES,
    PERSISTENT_VOLUME_CLAIMS,
    RESOURCE_CLAIMS,
    DEVICE_CLASSES,
    RESOURCE_QUOTAS,
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
    /// The objects of its namespace, and those of no namespace, of the resources whose objects are read.
    pub objects: BTreeMap<String, Vec<Arc<Object>>>,
    /// How many objects of the other resources its namespace has.
    pub counts: BTreeMap<String, usize>,
}

impl Lookup for Observed {
    fn get(&self, resource: &str, _namespace: &str, name: &str) -> Option<Arc<Object>> {
        let mut all = self.objects.get(resource)?.iter();
        all.find(|object| object.name() == name).cloned()
    }
    fn list(&self, resource: &str, _namespace: &str) -> Vec<Arc<Object>> {
        self.objects.get(resource).cloned().unwrap_or_default()
    }
    fn count(&self, resource: &str, _namespace: &str) -> Option<usize> {
        self.counts.get(resource).copied()
    }
}

/// The quotas that an object of any resource may count for. What changes of it matters only where its resource is one
/// of the controller's own.
pub fn counting(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
    // Of what has no namespace, classes of devices concern all quotas on claims, and nothing else counts.
    if !resource.is_namespaced && *resource != DEVICE_CLASSES {
        return Vec::new();
    }
    let mut quotas = snapshot.list(&RESOURCE_QUOTAS, object.namespace());
    let name = resource.group_resource().to_string();
    quotas.retain(|quota| quota::resources(quota).contains(&name));
    quotas.iter().map(|quota| quota.key()).collect()
}

impl Controller for ResourceQuota {
    type Observed = Observed;
    const NAME: &'static str = "resourcequota-controller";
    const SUBJECT: Resource = RESOURCE_QUOTAS;
    const WATCHES: &'static [Resource] = &READ;

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        let own = (*resource == RESOURCE_QUOTAS).then(|| object.key());
        let all = counting(snapshot, resource, object).into_iter().chain(own);
        all.collect::<BTreeSet<Key>>().into_iter().collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let quota = snapshot.get(&RESOURCE_QUOTAS, key)?;
        let mut seen = Observed {
            quota,
            objects: BTreeMap::new(),
            counts: BTreeMap::new(),
        };
        for name in quota::resources(&seen.quota) {
            let is_this = |known: &&Resource| known.group_resource().to_string() == name;
            let is_read = quota::is_weighed(&name) || name == quota::DEVICE_CLASSES;
            if let Some(read) = READ.iter().find(is_this).filter(|_| is_read) {
                let namespace = if read.is_namespaced {
                    &*key.namespace
                } else {
                    ""
                };
                seen.objects.insert(name, snapshot.list(read, namespace));
            } else if let Some(number) = snapshot.count(&name, &key.namespace) {
                seen.counts.insert(name, number);
            }
        }
        Some(seen)
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let hard = seen.quota.at(&["spec", "hard"]).cloned();
        // What is not counted here may be counted by somebody else. Source: `syncResourceQuota`.
        let mut used = amounts(seen.quota.at(&["status", "used"]));
        let is_limited = |name: &str| hard.as_ref().is_some_and(|hard| hard.get(name).is_some());
        used.retain(|name, _| is_limited(name));
        used.extend(Meter::new(&seen.quota, seen, now).usage(|_| true));
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
    use crate::resources::{LEASES, SECRETS};
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
    fn every_served_kind_is_counted_and_what_others_count_stays() {
        let spec = json!({ "hard": { "count/leases.coordination.k8s.io": "3", "secrets": "3",
            "count/widgets.example.com": "3", "count/gadgets.example.com": "3" } });
        let mut quota =
            json!({ "metadata": { "name": "q", "namespace": "default" }, "spec": spec });
        quota["status"] = json!({ "used": { "count/gadgets.example.com": "2", "pods": "7" } });
        let object = |name: &str| json!({ "metadata": { "name": name, "namespace": "default" } });
        let mut elsewhere = object("c");
        elsewhere["metadata"]["namespace"] = "other".into();
        let mut world = World::new([
            (RESOURCE_QUOTAS, quota),
            (LEASES, object("a")),
            (LEASES, object("b")),
            (LEASES, elsewhere),
            (SECRETS, object("a")),
        ]);
        let key = Key::new("default", "q");
        world.settle::<ResourceQuota>(&key, time(0));
        let expected = json!({ "count/leases.coordination.k8s.io": "2", "secrets": "1",
            "count/gadgets.example.com": "2" });
        let quota = world.get(&RESOURCE_QUOTAS, &key).unwrap();
        assert_eq!(quota["status"]["used"], expected);
        assert_eq!(counting(&world, &LEASES, &object("a")), [key]);
        assert_eq!(counting(&world, &PODS, &object("a")), []);
    }

    #[test]
    fn devices_of_claims_are_counted_by_class() {
        let claim = json!({ "metadata": { "name": "c", "namespace": "default" }, "spec": { "devices": { "requests": [
            { "exactly": { "deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 2 } } ] } } });
        let class = json!({ "metadata": { "name": "gpu" }, "spec": { "extendedResourceName": "example.com/gpu" } });
        let hard = json!({ "hard": { "gpu.deviceclass.resource.k8s.io/devices": "3", "requests.example.com/gpu": "3" } });
        let used = used(
            &hard,
            vec![(RESOURCE_CLAIMS, claim), (DEVICE_CLASSES, class)],
        );
        let expected = json!({ "gpu.deviceclass.resource.k8s.io/devices": "2", "requests.example.com/gpu": "2" });
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
