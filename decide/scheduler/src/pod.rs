//! A pod, read once into what filters and scores ask for.

use std::collections::{BTreeMap, BTreeSet};

use meta::host_port::HostPort;
use meta::node_selector::{NodeTerm, required_terms};
use meta::taint::Toleration;
use meta::{Key, Object, ObjectExt};
use serde_json::Value;

use crate::affinity::{PodTerm, SpreadConstraint};
use crate::resources::{Resources, nonzero_requests, requests};

/// What there is to know about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace and name.
    pub key: Key,
    /// Uid.
    pub uid: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `spec.nodeName`; empty while it has none.
    pub node_name: String,
    /// What it asks for.
    pub requests: Resources,
    /// The same with defaults for containers that ask for nothing.
    pub nonzero_requests: Resources,
    /// The node ports it wants.
    pub ports: BTreeSet<HostPort>,
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<String, String>,
    /// Required node affinity: one of these; `None` asks nothing.
    pub node_affinity: Option<Vec<NodeTerm>>,
    /// Preferred node affinity with weights.
    pub preferred_nodes: Vec<(i64, NodeTerm)>,
    /// Tolerations.
    pub tolerations: Vec<Toleration>,
    /// Required pod affinity.
    pub affinity: Vec<PodTerm>,
    /// Required pod anti-affinity.
    pub anti_affinity: Vec<PodTerm>,
    /// Preferred pod affinity; anti-affinity has negative weights.
    pub preferred_pods: Vec<PodTerm>,
    /// Spread constraints.
    pub spread: Vec<SpreadConstraint>,
    /// Images of its containers.
    pub images: Vec<String>,
    /// Priority.
    pub priority: i64,
    /// Whether it may push others away.
    pub may_preempt: bool,
    /// `spec.schedulerName`.
    pub scheduler_name: String,
    /// Whether gates keep it from being scheduled.
    pub is_gated: bool,
}

impl Pod {
    /// Reads a pod.
    pub fn read(pod: &Object) -> Self {
        let labels = pod.labels();
        let containers = || pod.list_at(&["spec", "containers"]).iter();
        Self {
            key: pod.key(),
            uid: pod.uid().to_owned(),
            node_name: pod
                .str_at(&["spec", "nodeName"])
                .unwrap_or_default()
                .to_owned(),
            requests: requests(pod),
            nonzero_requests: nonzero_requests(pod),
            ports: HostPort::all_of(pod),
            node_selector: strings(pod.at(&["spec", "nodeSelector"])),
            node_affinity: required_terms(pod),
            preferred_nodes: preferred_nodes(pod),
            tolerations: pod
                .list_at(&["spec", "tolerations"])
                .iter()
                .map(Toleration::read)
                .collect(),
            affinity: required_pods(pod, "podAffinity", &labels),
            anti_affinity: required_pods(pod, "podAntiAffinity", &labels),
            preferred_pods: preferred_pods(pod, &labels),
            spread: pod
                .list_at(&["spec", "topologySpreadConstraints"])
                .iter()
                .map(|constraint| SpreadConstraint::read(constraint, &labels))
                .collect(),
            images: containers()
                .filter_map(|container| container.str_at(&["image"]))
                .map(str::to_owned)
                .collect(),
            priority: pod.int_at(&["spec", "priority"]).unwrap_or_default(),
            may_preempt: pod.str_at(&["spec", "preemptionPolicy"]) != Some("Never"),
            scheduler_name: pod
                .str_at(&["spec", "schedulerName"])
                .unwrap_or("default-scheduler")
                .to_owned(),
            is_gated: !pod.list_at(&["spec", "schedulingGates"]).is_empty(),
            labels,
        }
    }

    /// Whether node selector and required node affinity allow a node.
    pub fn allows_node(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.node_selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && self
                .node_affinity
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
    }
}

fn strings(map: Option<&Value>) -> BTreeMap<String, String> {
    let pairs = map.and_then(Value::as_object).into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

fn preferred_nodes(pod: &Object) -> Vec<(i64, NodeTerm)> {
    let terms = pod
        .list_at(&["spec", "affinity", "nodeAffinity", PREFERRED])
        .iter();
    let read = |term: &Value| {
        let weight = term.int_at(&["weight"]).filter(|weight| *weight != 0)?;
        Some((weight, NodeTerm::read(term.get("preference")?)?))
    };
    terms.filter_map(read).collect()
}

fn required_pods(pod: &Object, sort: &str, labels: &BTreeMap<String, String>) -> Vec<PodTerm> {
    let terms = pod.list_at(&["spec", "affinity", sort, REQUIRED]).iter();
    terms
        .map(|term| PodTerm::read(term, 0, pod.namespace(), labels))
        .collect()
}

fn preferred_pods(pod: &Object, labels: &BTreeMap<String, String>) -> Vec<PodTerm> {
    let mut out = Vec::new();
    for (sort, sign) in [("podAffinity", 1), ("podAntiAffinity", -1)] {
        for term in pod.list_at(&["spec", "affinity", sort, PREFERRED]) {
            let weight = sign * term.int_at(&["weight"]).unwrap_or_default();
            if let Some(term) = term.get("podAffinityTerm") {
                out.push(PodTerm::read(term, weight, pod.namespace(), labels));
            }
        }
    }
    out
}
