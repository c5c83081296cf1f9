//! The conditions of a pod.
//!
//! Source: `pkg/kubelet/status/generate.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::phase::Phase;
use super::spec;
use crate::seen::Seen;

/// Types the agent owns, in the order it writes them.
const OWNED: [&str; 5] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
];

/// A condition's status, reason and message, before it has a time.
struct Finding {
    is_true: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Finding {
    const TRUE: Self = Self {
        is_true: true,
        reason: None,
        message: None,
    };

    fn because(is_true: bool, reason: &'static str) -> Self {
        Self {
            is_true,
            reason: Some(reason),
            message: None,
        }
    }
}

/// The conditions that are not the agent's own.
pub(super) fn of_others(old: &PodStatus) -> Vec<PodCondition> {
    let is_owned = |one: &&PodCondition| OWNED.contains(&one.type_.as_str());
    let conditions = old.conditions.iter().flatten();
    conditions.filter(|one| !is_owned(one)).cloned().collect()
}

/// All conditions: those of others as they are, then the agent's own.
pub(super) fn all(
    seen: &Seen,
    pod_spec: &PodSpec,
    old: &PodStatus,
    status: &PodStatus,
    phase: Phase,
    now: Timestamp,
) -> Vec<PodCondition> {
    let before = old.conditions.as_deref().unwrap_or_default();
    let mut conditions = of_others(old);
    let statuses: Vec<&ContainerStatus> =
        [&status.init_container_statuses, &status.container_statuses]
            .into_iter()
            .flatten()
            .flatten()
            .collect();
    let containers_ready = containers_ready(pod_spec, &statuses, phase);
    let ready = ready(pod_spec, &containers_ready, &conditions);
    let findings = [
        Finding {
            is_true: seen.sandbox().is_some(),
            reason: None,
            message: None,
        },
        initialized(pod_spec, &statuses, phase),
        ready,
        containers_ready,
        Finding::TRUE,
    ];
    for (type_, finding) in OWNED.iter().zip(findings) {
        let previous = before.iter().find(|one| one.type_ == *type_);
        conditions.push(dated(type_, finding, previous, seen, now));
    }
    conditions
}

fn dated(
    type_: &str,
    finding: Finding,
    previous: Option<&PodCondition>,
    seen: &Seen,
    now: Timestamp,
) -> PodCondition {
    let status = if finding.is_true { "True" } else { "False" };
    let kept = previous.filter(|one| one.status == status);
    PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: finding.reason.map(str::to_owned),
        message: finding.message,
        last_probe_time: None,
        last_transition_time: kept
            .and_then(|one| one.last_transition_time.clone())
            .or(Some(Time(now))),
        observed_generation: seen.pod.metadata.generation,
    }
}

/// Names as Go prints a list: `[a b]`.
fn go_list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn containers_ready(pod_spec: &PodSpec, statuses: &[&ContainerStatus], phase: Phase) -> Finding {
    let sidecars = pod_spec
        .init_containers
        .iter()
        .flatten()
        .filter(|one| spec::is_sidecar(one));
    let mut unknown = Vec::new();
    let mut unready = Vec::new();
    for container in sidecars.chain(&pod_spec.containers) {
        match statuses.iter().find(|one| one.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    if phase == Phase::Succeeded && unknown.is_empty() {
        return Finding::because(false, "PodCompleted");
    }
    if phase == Phase::Failed {
        return Finding::because(false, "PodFailed");
    }
    match messages(&unknown, &unready, "unready") {
        None => Finding::TRUE,
        message => Finding {
            message,
            ..Finding::because(false, "ContainersNotReady")
        },
    }
}

fn messages(unknown: &[&str], wanting: &[&str], word: &str) -> Option<String> {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!(
            "containers with unknown status: {}",
            go_list(unknown)
        ));
    }
    if !wanting.is_empty() {
        parts.push(format!(
            "containers with {word} status: {}",
            go_list(wanting)
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn ready(pod_spec: &PodSpec, containers: &Finding, others: &[PodCondition]) -> Finding {
    if !containers.is_true {
        return Finding {
            is_true: false,
            reason: containers.reason,
            message: containers.message.clone(),
        };
    }
    let gates = pod_spec
        .readiness_gates
        .iter()
        .flatten()
        .filter_map(|gate| {
            let wanted = &gate.condition_type;
            match others.iter().find(|one| one.type_ == *wanted) {
                None => Some(format!(
                    "corresponding condition of pod readiness gate {wanted:?} does not exist."
                )),
                Some(one) if one.status != "True" => Some(format!(
                    "the status of pod readiness gate {wanted:?} is not \"True\", but {}",
                    one.status
                )),
                Some(_) => None,
            }
        });
    let closed: Vec<String> = gates.collect();
    if closed.is_empty() {
        return Finding::TRUE;
    }
    Finding {
        message: Some(closed.join(", ")),
        ..Finding::because(false, "ReadinessGatesNotReady")
    }
}

fn initialized(pod_spec: &PodSpec, statuses: &[&ContainerStatus], phase: Phase) -> Finding {
    let mut unknown = Vec::new();
    let mut incomplete = Vec::new();
    for init in pod_spec.init_containers.iter().flatten() {
        match statuses.iter().find(|one| one.name == init.name) {
            None => unknown.push(init.name.as_str()),
            Some(status) => {
                let is_done = if spec::is_sidecar(init) {
                    status.started == Some(true)
                } else {
                    status.ready
                };
                if !is_done {
                    incomplete.push(init.name.as_str());
                }
            }
        }
    }
    if phase == Phase::Succeeded && unknown.is_empty() {
        return Finding::because(true, "PodCompleted");
    }
    if has_any_app_started(pod_spec, statuses) {
        return Finding::TRUE;
    }
    match messages(&unknown, &incomplete, "incomplete") {
        None => Finding::TRUE,
        message => Finding {
            message,
            ..Finding::because(false, "ContainersNotInitialized")
        },
    }
}

/// Whether any app container has ever begun.
fn has_any_app_started(pod_spec: &PodSpec, statuses: &[&ContainerStatus]) -> bool {
    pod_spec.containers.iter().any(|app| {
        let status = statuses.iter().find(|one| one.name == app.name);
        status.is_some_and(|status| {
            let has_ended = status
                .last_state
                .as_ref()
                .is_some_and(|last| last.terminated.is_some());
            let state = status.state.as_ref();
            has_ended || state.is_some_and(|now| now.running.is_some() || now.terminated.is_some())
        })
    })
}
