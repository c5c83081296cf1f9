//! Whether a node should run a daemon, and the pod that is made for it.

use meta::taint::{Taint, Toleration};
use meta::{Object, ObjectExt, node_selector};
use serde_json::{Value, json};

use crate::history::REVISION_LABEL;
use crate::pod;
use crate::resources::DAEMON_SETS;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
/// What every daemon puts up with. Source: `daemon/util`, `AddOrUpdateDaemonPodTolerations`.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// What a node is to a daemon set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// A pod should be there.
    pub(super) should_run: bool,
    /// A pod that is there may stay.
    pub(super) may_continue: bool,
}

/// The pod template with what daemons tolerate, in the shape of a pod.
pub(super) fn template(set: &Object) -> Object {
    let spec = set
        .at(&["spec", "template", "spec"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    let mut template = json!({ "spec": spec });
    tolerate(&mut template);
    template
}

fn tolerate(pod: &mut Object) {
    let mut tolerations = pod.list_at(&["spec", "tolerations"]).to_vec();
    let is_host = pod.bool_at(&["spec", "hostNetwork"]) == Some(true);
    let network = is_host.then_some(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    for (key, effect) in TOLERATED.into_iter().chain(network) {
        let toleration = json!({ "key": key, "operator": "Exists", "effect": effect });
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    pod.set(&["spec", "tolerations"], Value::Array(tolerations));
}

/// What a node is to a template.
pub(super) fn fit(template: &Object, node: &Object) -> Fit {
    let never = Fit {
        should_run: false,
        may_continue: false,
    };
    let named = pod::node_name(template);
    if !named.is_empty() && named != node.name() {
        return never;
    }
    if !node_selector::allows(template, node.name(), &node.labels()) {
        return never;
    }
    let tolerations = template.list_at(&["spec", "tolerations"]).iter();
    let tolerations: Vec<Toleration> = tolerations.map(Toleration::read).collect();
    let taints = node
        .list_at(&["spec", "taints"])
        .iter()
        .filter_map(Taint::read);
    let taints: Vec<Taint> = taints.collect();
    let stops = |taint: &&Taint| taint.is_hard() && !meta::taint::is_tolerated(taint, &tolerations);
    let stopping: Vec<&Taint> = taints.iter().filter(stops).collect();
    Fit {
        should_run: stopping.is_empty(),
        may_continue: stopping.iter().all(|taint| taint.effect != "NoExecute"),
    }
}

/// The node that a daemon pod runs on or is meant for.
pub(super) fn target_node(pod: &Object) -> String {
    let placed = pod::node_name(pod);
    if !placed.is_empty() {
        return placed.to_owned();
    }
    let terms = pod.list_at(&[
        "spec",
        "affinity",
        "nodeAffinity",
        REQUIRED,
        "nodeSelectorTerms",
    ]);
    let fields = terms.iter().flat_map(|term| term.list_at(&["matchFields"]));
    let mut names = fields
        .filter(|field| field.str_at(&["key"]) == Some("metadata.name"))
        .filter_map(|field| field.list_at(&["values"]).first()?.as_str());
    names.next().unwrap_or_default().to_owned()
}

/// The pod for a node: it can go nowhere else, and the scheduler puts it there.
pub(super) fn pod_for(set: &Object, node: &str, hash: &str) -> Object {
    let nothing = json!({});
    let template = set.at(&["spec", "template"]).unwrap_or(&nothing);
    let mut pod = pod::from_template(&DAEMON_SETS, set, template);
    tolerate(&mut pod);
    pod.set(&["metadata", "labels", REVISION_LABEL], hash.into());
    let generation = set.annotation("deprecated.daemonset.template.generation");
    let generation = generation.map_or_else(|| set.generation().to_string(), str::to_owned);
    pod.set(
        &["metadata", "labels", "pod-template-generation"],
        generation.into(),
    );
    let term =
        json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] });
    let path = ["spec", "affinity", "nodeAffinity", REQUIRED];
    pod.set(&path, json!({ "nodeSelectorTerms": [term] }));
    pod
}
