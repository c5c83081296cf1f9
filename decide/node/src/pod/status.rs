//! The status of a pod.
//!
//! Source: `pkg/kubelet/kubelet_pods.go`, `generateAPIPodStatus`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, HostIP, PodIP, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::phase::{self, Phase};
use super::stop::{self, Ending};
use super::{conditions, container_status, spec};
use crate::admission::Rejection;
use crate::events;
use crate::qos;
use crate::seen::{Seen, State, Subject};

/// Computes the status to report, starting from the one the API server has.
///
/// Conditions, addresses and whatever else others wrote there stay.
pub fn status(seen: &Seen, now: Timestamp) -> PodStatus {
    let pod_spec = spec::of(&seen.pod);
    let old = seen.pod.status.clone().unwrap_or_default();
    if phase::stated_final(&seen.pod).is_some() && is_untouched(seen, &old) {
        return old;
    }
    if let Some(rejection) = &seen.rejection {
        return of_rejected(seen, rejection, &old, now);
    }
    let ending = stop::ending(seen, &pod_spec, now);
    let mut status = PodStatus {
        observed_generation: seen.pod.metadata.generation,
        qos_class: Some(qos::class(&seen.pod).as_str().to_owned()),
        start_time: Some(old.start_time.clone().unwrap_or(Time(now))),
        init_container_statuses: container_status::init(seen, &pod_spec, now),
        container_statuses: Some(container_status::apps(seen, &pod_spec, now)),
        ephemeral_container_statuses: container_status::ephemeral(seen, &pod_spec, now),
        nominated_node_name: old.nominated_node_name.clone(),
        resource_claim_statuses: old.resource_claim_statuses.clone(),
        resize: old.resize.clone(),
        ..PodStatus::default()
    };
    let is_over = ending.is_some() && is_still(seen);
    if is_over {
        container_status::settle(&mut status);
    }
    set_addresses(seen, &old, &mut status);
    let phase = decided_phase(seen, &pod_spec, &status, ending.as_ref(), is_over);
    set_phase(
        seen,
        &mut status,
        &old,
        phase,
        ending.as_ref().filter(|_| is_over),
    );
    status.conditions = Some(conditions::all(seen, &pod_spec, &old, &status, phase, now));
    status
}

/// Whether nothing was ever made of the pod here, nor said of its containers.
fn is_untouched(seen: &Seen, old: &PodStatus) -> bool {
    seen.sandboxes.is_empty() && seen.containers.is_empty() && old.container_statuses.is_none()
}

/// What is said of a pod that the node does not take: nothing of its containers. Source: `rejectPod`.
fn of_rejected(seen: &Seen, rejection: &Rejection, old: &PodStatus, now: Timestamp) -> PodStatus {
    PodStatus {
        phase: Some(Phase::Failed.as_str().to_owned()),
        reason: Some(rejection.reason.clone()),
        message: Some(format!("Pod was rejected: {}", rejection.message)),
        observed_generation: seen.pod.metadata.generation,
        qos_class: Some(qos::class(&seen.pod).as_str().to_owned()),
        start_time: Some(old.start_time.clone().unwrap_or(Time(now))),
        conditions: Some(conditions::of_others(old)).filter(|conditions| !conditions.is_empty()),
        nominated_node_name: old.nominated_node_name.clone(),
        resource_claim_statuses: old.resource_claim_statuses.clone(),
        ..PodStatus::default()
    }
}

/// Whether nothing runs and nothing is being started or stopped.
fn is_still(seen: &Seen) -> bool {
    let is_container = |subject: &Subject| matches!(subject, Subject::Container(_));
    seen.living().next().is_none() && !seen.in_flight.keys().any(is_container)
}

fn all_statuses(status: &PodStatus) -> Vec<ContainerStatus> {
    let lists = [&status.init_container_statuses, &status.container_statuses];
    lists.into_iter().flatten().flatten().cloned().collect()
}

fn decided_phase(
    seen: &Seen,
    pod_spec: &PodSpec,
    status: &PodStatus,
    ending: Option<&Ending>,
    is_over: bool,
) -> Phase {
    if let Some(stated) = phase::stated_final(&seen.pod) {
        return stated;
    }
    let is_initialized = pod_spec.containers.iter().any(|app| {
        let instance = seen.newest(&app.name);
        instance.is_some_and(|one| matches!(one.state, State::Running | State::Created))
    });
    let phase = phase::phase(pod_spec, &all_statuses(status), is_over, is_initialized);
    let is_cut_short = matches!(ending, Some(Ending::DeadlineExceeded | Ending::Evicted));
    match (is_cut_short, is_over) {
        // It has failed however its containers end, but only once they have. Source: `mergePodStatus`.
        (true, true) => Phase::Failed,
        (true, false) if phase.is_final() => phase::stated_living(&seen.pod),
        // A pod that is over and reached no final phase by itself has failed.
        (false, true) if !phase.is_final() => Phase::Failed,
        _ => phase,
    }
}

/// Sets the phase with its reason; `ended` is why the pod ended, once nothing of it runs.
fn set_phase(
    seen: &Seen,
    status: &mut PodStatus,
    old: &PodStatus,
    phase: Phase,
    ended: Option<&Ending>,
) {
    status.phase = Some(phase.as_str().to_owned());
    let (reason, message) = match ended {
        Some(Ending::DeadlineExceeded) => (
            Some(events::DEADLINE_EXCEEDED.to_owned()),
            Some(stop::DEADLINE_MESSAGE.to_owned()),
        ),
        Some(Ending::Evicted) => (Some(events::EVICTED.to_owned()), seen.eviction.clone()),
        // Reason and message belong to the phase.
        _ if old.phase == status.phase => (old.reason.clone(), old.message.clone()),
        _ => (None, None),
    };
    status.reason = reason;
    status.message = message;
}

fn set_addresses(seen: &Seen, old: &PodStatus, status: &mut PodStatus) {
    let hosts = &seen.node.host_ips;
    status.host_ip = hosts.first().cloned().or_else(|| old.host_ip.clone());
    let as_host = |ip: &String| HostIP { ip: ip.clone() };
    status.host_ips = if hosts.is_empty() {
        old.host_ips.clone()
    } else {
        Some(hosts.iter().map(as_host).collect())
    };
    let pod_ips = if seen.is_host_network() {
        hosts.clone()
    } else {
        seen.sandbox()
            .map(|sandbox| sandbox.ips.clone())
            .unwrap_or_default()
    };
    if pod_ips.is_empty() {
        status.pod_ip.clone_from(&old.pod_ip);
        status.pod_ips.clone_from(&old.pod_ips);
    } else {
        status.pod_ip = pod_ips.first().cloned();
        let as_pod = |ip| PodIP { ip };
        status.pod_ips = Some(pod_ips.into_iter().map(as_pod).collect());
    }
}

#[cfg(test)]
mod tests;
