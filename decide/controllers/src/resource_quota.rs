//! Resource quotas: how much of each limited thing a namespace uses.
//!
//! Source: `pkg/controller/resourcequota`, `pkg/quota/v1/evaluator`. Refusing what is too much is admission's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::quantity::Format;
use meta::{Key, Object, ObjectExt, Quantity, Resource};
use serde_json::{Value, json};

use crate::controller::{Controller, Decision, Status};
use crate::pod;
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

/// The resource quota controller.
#[derive(Debug)]
pub struct ResourceQuota;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The quota.
    pub quota: Arc<Object>,
    /// The objects of its namespace, by plural resource name and group.
    pub objects: BTreeMap<(String, String), Vec<Arc<Object>>>,
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
            let name = (resource.plural.to_string(), resource.group.to_string());
            (name, snapshot.list(resource, &key.namespace))
        };
        let objects = COUNTED.iter().map(list).collect();
        Some(Observed { quota, objects })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let hard = seen
            .quota
            .at(&["spec", "hard"])
            .cloned()
            .unwrap_or_else(|| json!({}));
        let mut used = json!({});
        for name in hard.as_object().into_iter().flat_map(serde_json::Map::keys) {
            if let Some(amount) = usage(seen, name) {
                used.set(&[name], amount.to_string().into());
            }
        }
        Decision {
            status: Some(Status {
                resource: RESOURCE_QUOTAS,
                seen: Arc::clone(&seen.quota),
                status: json!({ "hard": hard, "used": used }),
            }),
            ..Decision::default()
        }
    }
}

fn zero() -> Quantity {
    Quantity::zero(Format::DecimalSi)
}

fn number(count: usize) -> Quantity {
    Quantity::from_units(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSi)
}

/// How much is used of one limited thing; `None` when nobody here counts it.
fn usage(seen: &Observed, name: &str) -> Option<Quantity> {
    let all = |plural: &str, group: &str| {
        seen.objects
            .get(&(plural.to_owned(), group.to_owned()))
            .map_or(&[][..], Vec::as_slice)
    };
    if let Some(resource) = name.strip_prefix("count/") {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let key = (plural.to_owned(), group.to_owned());
        return seen.objects.get(&key).map(|objects| number(objects.len()));
    }
    let pods = || {
        all("pods", "")
            .iter()
            .filter(|pod| !pod::is_terminal(pod) && is_in_scope(&seen.quota, pod))
    };
    let services = |is: &dyn Fn(&Object) -> usize| -> Quantity {
        number(all("services", "").iter().map(|service| is(service)).sum())
    };
    Some(match name {
        "pods" => number(pods().count()),
        "services"
        | "configmaps"
        | "secrets"
        | "persistentvolumeclaims"
        | "replicationcontrollers"
        | "resourcequotas" => number(all(name, "").len()),
        "services.loadbalancers" => services(&|service| {
            usize::from(service.str_at(&["spec", "type"]) == Some("LoadBalancer"))
        }),
        "services.nodeports" => services(&|service| {
            let ports = service.list_at(&["spec", "ports"]).iter();
            ports
                .filter(|port| port.int_at(&["nodePort"]).unwrap_or_default() > 0)
                .count()
        }),
        "requests.storage" => total(
            all("persistentvolumeclaims", "")
                .iter()
                .filter_map(|claim| {
                    read(claim.at(&["spec", "resources", "requests", "storage"])?)
                }),
        ),
        "cpu" | "memory" | "ephemeral-storage" => {
            total(pods().map(|pod| of_pod(pod, "requests", name)))
        }
        _ => {
            let (kind, resource) = name.split_once('.')?;
            if !matches!(kind, "requests" | "limits") {
                return None;
            }
            total(pods().map(|pod| of_pod(pod, kind, resource)))
        }
    })
}

fn read(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}

fn total(amounts: impl Iterator<Item = Quantity>) -> Quantity {
    amounts.fold(zero(), |sum, amount| sum.add(&amount))
}

/// What a pod asks for: its containers together, or its hungriest initialization.
fn of_pod(pod: &Object, kind: &str, resource: &str) -> Quantity {
    let of = |container: &Value| {
        container
            .at(&["resources", kind, resource])
            .and_then(read)
            .unwrap_or_else(zero)
    };
    let is_sidecar = |container: &&Value| container.str_at(&["restartPolicy"]) == Some("Always");
    let init = pod.list_at(&["spec", "initContainers"]);
    let running = total(pod.list_at(&["spec", "containers"]).iter().map(of));
    let sidecars = total(init.iter().filter(is_sidecar).map(of));
    let peak = init
        .iter()
        .filter(|container| !is_sidecar(container))
        .map(of)
        .max();
    let peak = peak.unwrap_or_else(zero).add(&sidecars);
    let running = running.add(&sidecars);
    let most = if peak > running { peak } else { running };
    match pod.at(&["spec", "overhead", resource]).and_then(read) {
        Some(overhead) => most.add(&overhead),
        None => most,
    }
}

/// Whether a pod counts for a quota with scopes.
fn is_in_scope(quota: &Object, pod: &Object) -> bool {
    let plain = quota
        .list_at(&["spec", "scopes"])
        .iter()
        .filter_map(Value::as_str);
    let holds = |scope: &str| {
        let has_deadline = pod.int_at(&["spec", "activeDeadlineSeconds"]).is_some();
        match scope {
            "Terminating" => has_deadline,
            "NotTerminating" => !has_deadline,
            "BestEffort" => is_best_effort(pod),
            "NotBestEffort" => !is_best_effort(pod),
            _ => true,
        }
    };
    let selected = quota
        .list_at(&["spec", "scopeSelector", "matchExpressions"])
        .iter();
    plain.clone().all(holds)
        && selected
            .clone()
            .all(|term| match term.str_at(&["scopeName"]) {
                Some("PriorityClass") => has_priority(pod, term),
                Some(scope) => holds(scope),
                None => true,
            })
}

fn has_priority(pod: &Object, term: &Value) -> bool {
    let class = pod
        .str_at(&["spec", "priorityClassName"])
        .unwrap_or_default();
    let named = term.list_at(&["values"]).iter().any(|value| value == class);
    match term.str_at(&["operator"]) {
        Some("In") => named,
        Some("NotIn") => !named,
        Some("Exists") => !class.is_empty(),
        Some("DoesNotExist") => class.is_empty(),
        _ => false,
    }
}

fn is_best_effort(pod: &Object) -> bool {
    let asks = |container: &Value| {
        ["requests", "limits"].iter().any(|kind| {
            ["cpu", "memory"]
                .iter()
                .any(|resource| container.at(&["resources", kind, resource]).is_some())
        })
    };
    !pod.list_at(&["spec", "containers"])
        .iter()
        .chain(pod.list_at(&["spec", "initContainers"]))
        .any(asks)
}

#[cfg(test)]
mod tests {
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
