//! The table of pods.

use std::cmp::max;

use jiff::Timestamp;
use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::{AGE, Col, NAME, Printer, age, since, text_or};
use crate::kind::Cell;

/// Pods.
pub(crate) static POD: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Ready",
            "string",
            "The aggregate readiness state of this pod for accepting traffic.",
            0,
        ),
        Col(
            "Status",
            "string",
            "The aggregate status of the containers in this pod.",
            0,
        ),
        Col(
            "Restarts",
            "string",
            "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.",
            0,
        ),
        AGE,
        Col("IP", "string", "@io.k8s.api.core.v1.PodStatus.podIP", 1),
        Col("Node", "string", "@io.k8s.api.core.v1.PodSpec.nodeName", 1),
        Col(
            "Nominated Node",
            "string",
            "@io.k8s.api.core.v1.PodStatus.nominatedNodeName",
            1,
        ),
        Col(
            "Readiness Gates",
            "string",
            "@io.k8s.api.core.v1.PodSpec.readinessGates",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec.containers.name",
        "spec.initContainers.name",
        "spec.initContainers.restartPolicy",
        "spec.nodeName",
        "spec.readinessGates",
        "status.phase",
        "status.reason",
        "status.podIPs",
        "status.nominatedNodeName",
        "status.conditions.type",
        "status.conditions.status",
        "status.conditions.reason",
        "status.containerStatuses.name",
        "status.containerStatuses.ready",
        "status.containerStatuses.restartCount",
        "status.containerStatuses.started",
        "status.containerStatuses.state",
        "status.containerStatuses.lastState.terminated.finishedAt",
        "status.initContainerStatuses.name",
        "status.initContainerStatuses.ready",
        "status.initContainerStatuses.restartCount",
        "status.initContainerStatuses.started",
        "status.initContainerStatuses.state",
        "status.initContainerStatuses.lastState.terminated.finishedAt",
    ],
    cells,
};

/// What the containers' statuses add up to.
#[derive(Default)]
struct Summary {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<String>,
}

fn cells(pod: &Object, now: Timestamp) -> Vec<Cell<'_>> {
    // Looked up once: a list of many pods makes as many rows.
    let part = |name| pod.get(name).unwrap_or(&Value::Null);
    let (spec, status) = (part("spec"), part("status"));
    let summary = summarize(pod, spec, status);
    let restartable = init_containers(spec)
        .filter(|container| is_sidecar(container))
        .count();
    let total = spec.list_at(&["containers"]).len() + restartable;
    let restarts = match &summary.last_restart {
        Some(time) if summary.restarts != 0 => {
            format!("{} ({} ago)", summary.restarts, since(Some(time), now))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = status
        .list_at(&["podIPs"])
        .first()
        .and_then(|ip| ip.str_at(&["ip"]))
        .unwrap_or("<none>");
    vec![
        pod.name().into(),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.into(),
        restarts.into(),
        age(pod, now),
        ip.into(),
        text_or(spec, &["nodeName"], "<none>"),
        text_or(status, &["nominatedNodeName"], "<none>"),
        readiness_gates(spec, status).into(),
    ]
}

fn init_containers(spec: &Value) -> impl Iterator<Item = &Value> {
    spec.list_at(&["initContainers"]).iter()
}

fn is_sidecar(container: &Value) -> bool {
    container.str_at(&["restartPolicy"]) == Some("Always")
}

fn summarize(pod: &Object, spec: &Value, status: &Value) -> Summary {
    let phase = status.str_at(&["phase"]).unwrap_or_default();
    let reason = status
        .str_at(&["reason"])
        .filter(|reason| !reason.is_empty())
        .unwrap_or(phase);
    let mut summary = Summary {
        reason: reason.to_owned(),
        ..Summary::default()
    };
    let conditions = status.list_at(&["conditions"]);
    let is_gated = |condition: &Value| {
        condition.str_at(&["type"]) == Some("PodScheduled")
            && condition.str_at(&["reason"]) == Some("SchedulingGated")
    };
    if conditions.iter().any(is_gated) {
        summary.reason = "SchedulingGated".into();
    }
    let mut sidecars = Summary::default();
    let is_initializing = initialize(spec, status, &mut summary, &mut sidecars);
    if !is_initializing || has_condition(status, "Initialized") {
        summary.restarts = sidecars.restarts;
        summary.last_restart = sidecars.last_restart;
        run(status, &mut summary);
    }
    if pod.deletion_timestamp().is_some() {
        if status.str_at(&["reason"]) == Some("NodeLost") {
            summary.reason = "Unknown".into();
        } else if !matches!(phase, "Succeeded" | "Failed") {
            summary.reason = "Terminating".into();
        }
    }
    summary
}

fn has_condition(status: &Value, name: &str) -> bool {
    status.list_at(&["conditions"]).iter().any(|condition| {
        condition.str_at(&["type"]) == Some(name) && condition.str_at(&["status"]) == Some("True")
    })
}

fn count_restarts(status: &Value, summary: &mut Summary) {
    summary.restarts += status.int_at(&["restartCount"]).unwrap_or_default();
    let finished = status
        .str_at(&["lastState", "terminated", "finishedAt"])
        .map(str::to_owned);
    summary.last_restart = max(summary.last_restart.take(), finished);
}

/// Goes through the init containers; says whether one of them is still to finish.
fn initialize(spec: &Value, status: &Value, summary: &mut Summary, sidecars: &mut Summary) -> bool {
    let total = init_containers(spec).count();
    for (index, status) in status
        .list_at(&["initContainerStatuses"])
        .iter()
        .enumerate()
    {
        count_restarts(status, summary);
        let name = status.str_at(&["name"]);
        let mut containers = init_containers(spec);
        let container = containers.find(|container| container.str_at(&["name"]) == name);
        let is_sidecar = container.is_some_and(is_sidecar);
        if is_sidecar {
            count_restarts(status, sidecars);
        }
        let terminated = status.at(&["state", "terminated"]);
        let exit_code = terminated.map(|state| state.int_at(&["exitCode"]).unwrap_or_default());
        if exit_code == Some(0) {
            continue;
        }
        if is_sidecar && status.bool_at(&["started"]) == Some(true) {
            summary.ready += usize::from(status.bool_at(&["ready"]) == Some(true));
            continue;
        }
        let waiting = status
            .str_at(&["state", "waiting", "reason"])
            .unwrap_or_default();
        summary.reason = match terminated {
            Some(state) => format!("Init:{}", end_of(state)),
            None if !matches!(waiting, "" | "PodInitializing") => format!("Init:{waiting}"),
            None => format!("Init:{index}/{total}"),
        };
        return true;
    }
    false
}

/// How a container ended: its reason, else its signal or exit code.
fn end_of(state: &Value) -> String {
    let number = |field: &str| state.int_at(&[field]).unwrap_or_default();
    match state.str_at(&["reason"]).unwrap_or_default() {
        "" if number("signal") != 0 => format!("Signal:{}", number("signal")),
        "" => format!("ExitCode:{}", number("exitCode")),
        reason => reason.to_owned(),
    }
}

/// Goes through the app containers, the last one first.
fn run(pod_status: &Value, summary: &mut Summary) {
    let mut has_running = false;
    let mut error = String::new();
    for status in pod_status.list_at(&["containerStatuses"]).iter().rev() {
        count_restarts(status, summary);
        let waiting = status
            .str_at(&["state", "waiting", "reason"])
            .unwrap_or_default();
        if !waiting.is_empty() {
            waiting.clone_into(&mut summary.reason);
        } else if let Some(state) = status.at(&["state", "terminated"]) {
            summary.reason = end_of(state);
            if state.int_at(&["exitCode"]).unwrap_or_default() != 0 {
                error.clone_from(&summary.reason);
            }
        } else if status.bool_at(&["ready"]) == Some(true)
            && status.at(&["state", "running"]).is_some()
        {
            has_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        if has_running && has_condition(pod_status, "Ready") {
            summary.reason = "Running".into();
        } else if !error.is_empty() {
            summary.reason = error;
        } else if has_running {
            summary.reason = "NotReady".into();
        }
    }
}

fn readiness_gates(spec: &Value, status: &Value) -> String {
    let gates = spec.list_at(&["readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let met = gates
        .iter()
        .filter_map(|gate| gate.str_at(&["conditionType"]))
        .filter(|name| has_condition(status, name));
    format!("{}/{}", met.count(), gates.len())
}
