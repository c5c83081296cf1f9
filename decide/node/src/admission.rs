//! Whether the node takes a pod that is bound to it. Mostly it does, as the scheduler has looked; but pods may name their
//! node themselves, and the node may have changed in the meantime.
//!
//! Left out: critical pods do not push others off the node.
//!
//! Source: `pkg/kubelet/lifecycle/predicate.go`, `pkg/scheduler/eventhandlers.go` `AdmissionCheck`.

mod sysctls;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::amounts::{self, Amounts, amounts};
use meta::host_port::HostPort;
use meta::quantity::Quantity;
use meta::taint::{Taint, Toleration, is_tolerated};
use meta::{Object, ObjectExt, node_selector};
use serde_json::{Value, json};

/// The only system whose containers run here.
const OS: &str = "linux";
const OS_LABEL: &str = "kubernetes.io/os";
/// The amounts that are checked first, in this order. Source: `noderesources` `fitsRequest`.
const FIRST: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Why the node does not take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `status.reason`, and the event's.
    pub reason: String,
    /// What the event says.
    pub message: String,
}

/// What a pod takes of its node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Thousandths for CPU, whole units for everything else.
    requests: BTreeMap<String, i64>,
    ports: BTreeSet<HostPort>,
}

impl Room {
    /// Reads it.
    pub fn of(pod: &Pod) -> Self {
        Self::read(&json!(pod))
    }
    fn read(pod: &Object) -> Self {
        let mut requests = amounts::of_pod(pod, "requests");
        amounts::add(&mut requests, &amounts(pod.at(&["spec", "overhead"])));
        Self {
            requests: numbers(&requests),
            ports: HostPort::all_of(pod),
        }
    }
}

/// Whether nobody has decided yet that a pod runs here, or that it does not run any more.
// DIFFERS: a pod that was taken once is not judged anew when the agent starts again.
pub fn is_open(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    pod.metadata.deletion_timestamp.is_none()
        && status.is_none_or(|status| status.start_time.is_none())
        && !is_over(pod)
}

/// Whether a pod's status says that nothing of it will run any more.
pub fn is_over(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

/// Whether a node takes a pod beside those that it has.
///
/// # Errors
/// It does not, and why: the first reason of all.
pub fn admit<'a>(
    pod: &Pod,
    node: &Node,
    others: impl IntoIterator<Item = &'a Room>,
) -> Result<(), Rejection> {
    let (pod, node) = (json!(pod), json!(node));
    sysctls::check(&pod)?;
    system(&pod)?;
    let others: Vec<&Room> = others.into_iter().collect();
    let room = Room::read(&pod);
    amounts_fit(&room, &node, &others)?;
    if !node_selector::allows(&pod, node.name(), &node.labels()) {
        let why = "node(s) didn't match Pod's node affinity/selector";
        return Err(failed("NodeAffinity", why));
    }
    if pod.str_at(&["spec", "nodeName"]) != Some(node.name()) {
        let why = "node(s) didn't match the requested node name";
        return Err(failed("NodeName", why));
    }
    let mut taken = others.iter().flat_map(|other| &other.ports);
    if taken.any(|taken| room.ports.iter().any(|port| port.conflicts(taken))) {
        let why = "node(s) didn't have free ports for the requested pod ports";
        return Err(failed("NodePorts", why));
    }
    taints(&pod, &node)
}

fn failed(predicate: &str, why: &str) -> Rejection {
    Rejection {
        reason: predicate.to_owned(),
        message: format!("Predicate {predicate} failed: {why}"),
    }
}

fn system(pod: &Object) -> Result<(), Rejection> {
    let rejection = |reason: &str, message: &str| {
        Err(Rejection {
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    };
    if pod.label(OS_LABEL).is_some_and(|os| os != OS) {
        let why = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
        return rejection("PodOSSelectorNodeLabelDoesNotMatch", why);
    }
    if pod
        .str_at(&["spec", "os", "name"])
        .is_some_and(|os| os != OS)
    {
        let why = "Failed to admit pod as the OS field doesn't match node OS";
        return rejection("PodOSNotSupported", why);
    }
    Ok(())
}

fn amounts_fit(room: &Room, node: &Object, others: &[&Room]) -> Result<(), Rejection> {
    let allocatable = numbers(&amounts(node.at(&["status", "allocatable"])));
    let has = |name: &str| allocatable.get(name).copied().unwrap_or_default();
    let count = i64::try_from(others.len()).unwrap_or(i64::MAX);
    fits("pods", 1, count, has("pods"))?;
    let is_first = |name: &&String| FIRST.contains(&name.as_str());
    let rest = room.requests.keys().filter(|name| !is_first(name));
    for name in FIRST.into_iter().chain(rest.map(String::as_str)) {
        let asked = room.requests.get(name).copied().unwrap_or_default();
        // Extended resources that the node does not know are somebody else's business.
        if is_extended(name) && !allocatable.contains_key(name) {
            continue;
        }
        let used = others.iter().filter_map(|other| other.requests.get(name));
        let used = used.fold(0_i64, |sum, more| sum.saturating_add(*more));
        fits(name, asked, used, has(name))?;
    }
    Ok(())
}

fn fits(name: &str, requested: i64, used: i64, capacity: i64) -> Result<(), Rejection> {
    if requested <= 0 || requested <= capacity.saturating_sub(used) {
        return Ok(());
    }
    Err(Rejection {
        reason: format!("OutOf{name}"),
        message: format!(
            "Node didn't have enough resource: {name}, requested: {requested}, used: {used}, capacity: {capacity}"
        ),
    })
}

/// Source: `IsExtendedResourceName`.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

fn numbers(amounts: &Amounts) -> BTreeMap<String, i64> {
    let number = |name: &str, amount: &Quantity| match name {
        "cpu" => amount.milli_value(),
        _ => amount.value(),
    };
    let pairs = amounts.iter();
    pairs
        .map(|(name, amount)| (name.clone(), number(name, amount)))
        .collect()
}

/// Only taints that drive pods away matter here.
fn taints(pod: &Object, node: &Object) -> Result<(), Rejection> {
    let tolerations: Vec<Toleration> = pod
        .list_at(&["spec", "tolerations"])
        .iter()
        .map(Toleration::read)
        .collect();
    let drives_away = |taint: &Value| {
        Taint::read(taint)
            .is_some_and(|taint| taint.effect == "NoExecute" && !is_tolerated(&taint, &tolerations))
    };
    if !node.list_at(&["spec", "taints"]).iter().any(drives_away) {
        return Ok(());
    }
    let why = "node(s) had taints that the pod didn't tolerate";
    Err(failed("TaintToleration", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: &Value) -> Pod {
        let mut pod = json!({ "metadata": { "name": "p" }, "spec": spec });
        pod.set(&["spec", "nodeName"], "node-1".into());
        serde_json::from_value(pod).unwrap()
    }

    fn asking(requests: &Value) -> Pod {
        pod(&json!({ "containers": [{ "name": "a", "resources": { "requests": requests } }] }))
    }

    fn with_port(port: u16, ip: &str) -> Pod {
        let port = json!({ "containerPort": 80, "hostPort": port, "hostIP": ip });
        pod(&json!({ "containers": [{ "name": "a", "ports": [port] }] }))
    }

    fn node() -> Object {
        let allocatable =
            json!({ "cpu": "2", "memory": "1Gi", "pods": "2", "example.com/gpu": "1" });
        json!({ "metadata": { "name": "node-1", "labels": { "disk": "fast" } },
            "status": { "allocatable": allocatable } })
    }

    fn told_by(node: Object, pod: &Pod, others: &[Pod]) -> String {
        let node: Node = serde_json::from_value(node).unwrap();
        let rooms: Vec<Room> = others.iter().map(Room::of).collect();
        match admit(pod, &node, &rooms) {
            Ok(()) => String::new(),
            Err(rejection) => format!("{}: {}", rejection.reason, rejection.message),
        }
    }

    fn told(pod: &Pod, others: &[Pod]) -> String {
        told_by(node(), pod, others)
    }

    #[test]
    fn what_fits_is_taken() {
        let one = asking(&json!({ "cpu": "1", "memory": "512Mi" }));
        assert_eq!(told(&one, std::slice::from_ref(&one)), "");
        assert_eq!(told(&with_port(80, ""), &[with_port(81, "")]), "");
        let unknown = asking(&json!({ "example.com/other": "7" }));
        assert_eq!(told(&unknown, &[]), "");
    }

    #[test]
    fn the_first_amount_that_is_short_is_told() {
        let big = asking(&json!({ "memory": "2Gi", "cpu": "1500m" }));
        let taken = [asking(&json!({ "cpu": "600m" }))];
        assert_eq!(
            told(&big, &taken),
            "OutOfcpu: Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000"
        );
        assert_eq!(
            told(&big, &[]),
            "OutOfmemory: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824"
        );
        let none = pod(&json!({ "containers": [] }));
        assert_eq!(
            told(&big, &[none.clone(), none]),
            "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2"
        );
        assert_eq!(
            told(&asking(&json!({ "example.com/gpu": "2" })), &[]),
            "OutOfexample.com/gpu: Node didn't have enough resource: example.com/gpu, requested: 2, used: 0, capacity: 1"
        );
    }

    #[test]
    fn ports_that_are_taken_are_told() {
        let why = "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
        let taken = [with_port(80, "127.0.0.1")];
        assert_eq!(told(&with_port(80, ""), &taken), why);
        assert_eq!(told(&with_port(80, "127.0.0.2"), &taken), "");
    }

    #[test]
    fn labels_names_and_taints_must_fit() {
        let slow = pod(&json!({ "containers": [], "nodeSelector": { "disk": "slow" } }));
        assert_eq!(
            told(&slow, &[]),
            "NodeAffinity: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        );
        let mut other = node();
        other.set(&["metadata", "name"], "node-2".into());
        let plain = pod(&json!({ "containers": [] }));
        assert_eq!(
            told_by(other, &plain, &[]),
            "NodeName: Predicate NodeName failed: node(s) didn't match the requested node name"
        );
        let tainted = |effect: &str| {
            let mut node = node();
            let taint = json!({ "key": "broken", "effect": effect });
            node["spec"] = json!({ "taints": [taint] });
            node
        };
        assert_eq!(told_by(tainted("NoSchedule"), &plain, &[]), "");
        assert_eq!(
            told_by(tainted("NoExecute"), &plain, &[]),
            "TaintToleration: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
        );
        let patient = json!({ "containers": [], "tolerations": [{ "operator": "Exists" }] });
        assert_eq!(told_by(tainted("NoExecute"), &pod(&patient), &[]), "");
    }

    #[test]
    fn pods_of_other_systems_are_not_taken() {
        let windows = pod(&json!({ "containers": [], "os": { "name": "windows" } }));
        assert_eq!(
            told(&windows, &[]),
            "PodOSNotSupported: Failed to admit pod as the OS field doesn't match node OS"
        );
    }

    #[test]
    fn only_pods_that_never_started_are_judged() {
        let judged =
            |status: Value| is_open(&serde_json::from_value(json!({ "status": status })).unwrap());
        assert!(judged(json!({ "phase": "Pending" })));
        assert!(!judged(json!({ "phase": "Failed" })));
        assert!(!judged(
            json!({ "phase": "Pending", "startTime": "2026-01-01T00:00:00Z" })
        ));
    }
}
