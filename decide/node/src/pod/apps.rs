//! App containers: started together, kept running by the restart policy and their probes.
//!
//! Source: `pkg/kubelet/kuberuntime/kuberuntime_manager.go`, `computePodActions`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::step::Step;
use super::{spec, stop, waiting};
use crate::names::container_hash;
use crate::seen::{self, Seen, State};

/// Whether a running container may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It may.
    Good,
    /// It was made from another image.
    Changed,
    /// It is not alive.
    FailedLiveness,
    /// It did not start in time.
    FailedStartup,
    /// The runtime lost track of it.
    Unknown,
}

/// Adds what app and ephemeral containers need.
pub(super) fn step(seen: &Seen, pod_spec: &PodSpec, now: Timestamp, step: &mut Step) {
    for container in &pod_spec.containers {
        one(seen, pod_spec, container, now, step);
    }
    for container in spec::ephemeral(pod_spec) {
        if seen.newest(&container.name).is_none() {
            waiting::push_next(seen, &container, now, step);
        }
    }
}

fn one(seen: &Seen, pod_spec: &PodSpec, container: &Container, now: Timestamp, step: &mut Step) {
    match seen.current(&container.name) {
        Some(instance) if instance.state == State::Running => {
            match health(seen, container, instance) {
                Health::Good => {}
                bad => kill(seen, pod_spec, instance, bad, step),
            }
        }
        Some(instance) if instance.state == State::Unknown => {
            kill(seen, pod_spec, instance, Health::Unknown, step);
        }
        Some(_) | None if should_run(seen, pod_spec, container) => {
            waiting::push_next(seen, container, now, step);
        }
        Some(_) | None => {}
    }
}

/// Whether a container that does not run is to be started.
///
/// Source: `pkg/kubelet/container/helpers.go`, `ShouldContainerBeRestarted`.
pub(super) fn should_run(seen: &Seen, pod_spec: &PodSpec, container: &Container) -> bool {
    match seen.newest(&container.name) {
        Some(ended) if ended.state == State::Exited => {
            was_killed_for_change(container, ended)
                || spec::restarts(pod_spec, container, ended.exit_code)
        }
        Some(_) => true,
        None => !had_ended(seen, pod_spec, container),
    }
}

/// Whether the status tells that a container ended for good which the runtime no longer has.
fn had_ended(seen: &Seen, pod_spec: &PodSpec, container: &Container) -> bool {
    let statuses = seen
        .pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref());
    let old = statuses
        .into_iter()
        .flatten()
        .find(|one| one.name == container.name);
    let ended = old.and_then(|one| one.state.as_ref()?.terminated.as_ref());
    ended.is_some_and(|ended| !spec::restarts(pod_spec, container, ended.exit_code))
}

/// An instance made from another image starts anew whatever the restart policy.
fn was_killed_for_change(container: &Container, ended: &seen::Container) -> bool {
    ended
        .spec_hash
        .as_ref()
        .is_some_and(|hash| *hash != container_hash(container))
}

/// Judges a running container.
pub(super) fn health(seen: &Seen, container: &Container, instance: &seen::Container) -> Health {
    let probes = seen.probes.get(&instance.id).copied().unwrap_or_default();
    let hash = instance.spec_hash.as_ref();
    if hash.is_some_and(|hash| *hash != container_hash(container)) {
        Health::Changed
    } else if container.liveness_probe.is_some() && probes.liveness == Some(false) {
        Health::FailedLiveness
    } else if container.startup_probe.is_some() && probes.startup == Some(false) {
        Health::FailedStartup
    } else {
        Health::Good
    }
}

/// Whether a running container's startup probe, if it has one, has succeeded.
pub(super) fn has_started(seen: &Seen, container: &Container, instance: &seen::Container) -> bool {
    let probes = seen.probes.get(&instance.id).copied().unwrap_or_default();
    let is_told = || was_started(seen, &instance.id);
    container.startup_probe.is_none() || probes.startup.unwrap_or_else(is_told)
}

/// Whether the status last written says that this instance has started; an agent that has just
/// started itself knows of no probe yet.
fn was_started(seen: &Seen, id: &str) -> bool {
    let Some(status) = &seen.pod.status else {
        return false;
    };
    let lists = [&status.container_statuses, &status.init_container_statuses];
    let mut statuses = lists.into_iter().flatten().flatten();
    statuses.any(|one| {
        let own = one
            .container_id
            .as_deref()
            .and_then(|full| full.split_once("://"));
        own.is_some_and(|(_, own)| own == id) && one.started == Some(true)
    })
}

/// Adds the stop of a running container that may not go on.
pub(super) fn kill(
    seen: &Seen,
    pod_spec: &PodSpec,
    instance: &seen::Container,
    health: Health,
    step: &mut Step,
) {
    let Some(container) = spec::find(pod_spec, &instance.name) else {
        return;
    };
    let is_init = pod_spec
        .init_containers
        .iter()
        .flatten()
        .any(|one| one.name == instance.name);
    let subject = if is_init {
        "Init container"
    } else {
        "Container"
    };
    let name = &instance.name;
    let (cause, probe) = match health {
        Health::Good => return,
        Health::Changed => (format!("{subject} {name} definition changed"), None),
        Health::FailedLiveness => (
            format!("{subject} {name} failed liveness probe"),
            container.liveness_probe.as_ref(),
        ),
        Health::FailedStartup => (
            format!("{subject} {name} failed startup probe"),
            container.startup_probe.as_ref(),
        ),
        Health::Unknown => (
            format!("{subject} is in \"unknown\" state, try killing it before restart"),
            None,
        ),
    };
    let restarts = health == Health::Changed || spec::restarts_after_kill(pod_spec, container);
    let message = match health {
        Health::Changed | Health::FailedLiveness | Health::FailedStartup
            if restarts && !is_init =>
        {
            format!("{cause}, will be restarted")
        }
        _ => cause,
    };
    let grace = probe.and_then(|probe| probe.termination_grace_period_seconds);
    step.push(seen, stop::stop(seen, pod_spec, instance, message, grace));
}
