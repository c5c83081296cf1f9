//! The statuses of containers.
//!
//! Source: `pkg/kubelet/kubelet_pods.go`, `convertToAPIContainerStatuses`;
//! `pkg/kubelet/prober/prober_manager.go`, `UpdatePodStatus`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus, PodSpec, PodStatus, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::spec::{self, Role};
use super::step::Stage;
use super::waiting::{self, Next, Waiting};
use super::{apps, init};
use crate::seen::{self, Seen, State};

/// Reason of a container that ended while nobody looked.
const STATUS_UNKNOWN: &str = "ContainerStatusUnknown";
/// Exit code given to such a container.
const EXIT_UNKNOWN: i32 = 137;

/// Statuses of init containers, in order of the spec; `None` when there are none.
pub(super) fn init(
    seen: &Seen,
    pod_spec: &PodSpec,
    now: Timestamp,
) -> Option<Vec<ContainerStatus>> {
    let list = pod_spec
        .init_containers
        .as_ref()
        .filter(|list| !list.is_empty())?;
    Some(
        list.iter()
            .map(|one| status(seen, pod_spec, one, now))
            .collect(),
    )
}

/// Statuses of app containers, in order of names.
pub(super) fn apps(seen: &Seen, pod_spec: &PodSpec, now: Timestamp) -> Vec<ContainerStatus> {
    let list = pod_spec.containers.iter();
    let mut statuses: Vec<_> = list.map(|one| status(seen, pod_spec, one, now)).collect();
    statuses.sort_by(|one, other| one.name.cmp(&other.name));
    statuses
}

/// Statuses of ephemeral containers, in order of names; `None` when there are none.
pub(super) fn ephemeral(
    seen: &Seen,
    pod_spec: &PodSpec,
    now: Timestamp,
) -> Option<Vec<ContainerStatus>> {
    let list = spec::ephemeral(pod_spec);
    let mut statuses: Vec<_> = list
        .iter()
        .map(|one| status(seen, pod_spec, one, now))
        .collect();
    statuses.sort_by(|one, other| one.name.cmp(&other.name));
    (!statuses.is_empty()).then_some(statuses)
}

/// Ends what a pod that is over leaves open: containers of which no end was seen.
pub(super) fn settle(status: &mut PodStatus) {
    let has_run = |one: &ContainerStatus| {
        let last = one
            .last_state
            .as_ref()
            .and_then(|last| last.terminated.as_ref());
        last.is_some() || one.container_id.is_some()
    };
    let was_initialized = status.container_statuses.iter().flatten().any(has_run)
        || status.init_container_statuses.is_none();
    let inits = status.init_container_statuses.iter_mut().flatten();
    let apps = status
        .container_statuses
        .iter_mut()
        .flatten()
        .filter(|_| was_initialized);
    for one in inits.filter(|one| has_run(one)).chain(apps) {
        let state = one.state.get_or_insert_default();
        // One that ended as it should stays as it is: an init container that succeeded is ready for good.
        if state.terminated.is_none() {
            *state = unknown("The container could not be located when the pod was terminated");
            one.ready = false;
            one.started = Some(false);
        }
    }
}

fn unknown(message: &str) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: EXIT_UNKNOWN,
            reason: Some(STATUS_UNKNOWN.to_owned()),
            message: Some(message.to_owned()),
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

fn status(
    seen: &Seen,
    pod_spec: &PodSpec,
    container: &Container,
    now: Timestamp,
) -> ContainerStatus {
    let old = old_status(seen, &container.name);
    let mut instances = seen
        .containers
        .iter()
        .filter(|one| one.name == container.name);
    let newest = instances.next();
    let mut status = match newest {
        Some(newest) => {
            let mut status = of_instance(seen, newest);
            let previous = instances.next().filter(|one| one.state == State::Exited);
            status.last_state = match previous {
                Some(previous) => Some(state_of(seen, previous)),
                None => old
                    .filter(|_| newest.attempt > 0)
                    .and_then(|old| last_of(old, &status)),
            };
            status
        }
        None => of_none(seen, pod_spec, container, old),
    };
    // Upstream always writes it, and the API server fills it in: absent and empty would never agree.
    status.last_state.get_or_insert_default();
    let newest = newest.filter(|one| !spec::is_in_hook(&seen.in_flight, container, one));
    if newest.is_none()
        && status
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    {
        // What its hook after the start still works on does not count as running.
        status.state = Some(waiting_state(first_reason(pod_spec), None));
    }
    status.volume_mounts = mounts(container);
    status.resources.clone_from(&container.resources);
    status.allocated_resources = container
        .resources
        .as_ref()
        .and_then(|all| all.requests.clone());
    show_waiting(seen, pod_spec, container, now, &mut status);
    show_probes(seen, pod_spec, container, newest, old, &mut status);
    status
}

/// The last state of a restarted container whose previous instance the runtime has dropped.
fn last_of(old: &ContainerStatus, status: &ContainerStatus) -> Option<ContainerState> {
    let ended = old.state.clone().filter(|state| state.terminated.is_some());
    match ended {
        Some(ended) if old.container_id != status.container_id => Some(ended),
        _ => old.last_state.clone(),
    }
}

fn old_status<'a>(seen: &'a Seen, name: &str) -> Option<&'a ContainerStatus> {
    let status = seen.pod.status.as_ref()?;
    let lists = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|one| one.name == name)
}

fn of_instance(seen: &Seen, instance: &seen::Container) -> ContainerStatus {
    ContainerStatus {
        name: instance.name.clone(),
        image: instance.image.clone(),
        image_id: instance.image_ref.clone(),
        container_id: Some(container_id(seen, instance)),
        restart_count: i32::try_from(instance.attempt).unwrap_or(i32::MAX),
        state: Some(state_of(seen, instance)),
        ..ContainerStatus::default()
    }
}

fn container_id(seen: &Seen, instance: &seen::Container) -> String {
    format!("{}://{}", seen.node.runtime_name, instance.id)
}

fn state_of(seen: &Seen, instance: &seen::Container) -> ContainerState {
    let mut state = ContainerState::default();
    match instance.state {
        State::Running => {
            state.running = Some(ContainerStateRunning {
                started_at: instance.started_at.map(Time),
            });
        }
        State::Created => state.waiting = Some(ContainerStateWaiting::default()),
        State::Exited => {
            let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
            let epoch = Timestamp::UNIX_EPOCH;
            state.terminated = Some(ContainerStateTerminated {
                container_id: Some(container_id(seen, instance)),
                exit_code: instance.exit_code,
                reason: text(&instance.reason).or_else(|| Some(default_reason(instance.exit_code))),
                message: text(&instance.message),
                signal: None,
                started_at: Some(Time(instance.started_at.unwrap_or(epoch))),
                finished_at: Some(Time(instance.finished_at.unwrap_or(epoch))),
            });
        }
        State::Unknown => {
            let message = "The container could not be located when the pod was terminated";
            return unknown(message);
        }
    }
    state
}

fn default_reason(exit_code: i32) -> String {
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    reason.to_owned()
}

/// The status of a container the runtime has no instance of.
fn of_none(
    seen: &Seen,
    pod_spec: &PodSpec,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting_state(first_reason(pod_spec), None)),
        ..ContainerStatus::default()
    };
    let Some(old) = old else {
        return status;
    };
    let state = old.state.clone().unwrap_or_default();
    if state.terminated.is_some() {
        return old.clone();
    }
    status.restart_count = old.restart_count;
    status.last_state.clone_from(&old.last_state);
    let is_known = |last: &ContainerState| last.terminated.is_some();
    if state.running.is_some() && !status.last_state.as_ref().is_some_and(is_known) {
        // It ran, and is gone: its end was missed, not its start.
        status.last_state = Some(unknown(
            "The container could not be located when the pod was deleted.  The container used to be Running",
        ));
        if seen.pod.metadata.deletion_timestamp.is_none() {
            status.restart_count += 1;
        }
    }
    status
}

/// What a container waits for before it has run.
fn first_reason(pod_spec: &PodSpec) -> &'static str {
    let inits = pod_spec.init_containers.as_deref().unwrap_or_default();
    if inits.is_empty() {
        "ContainerCreating"
    } else {
        "PodInitializing"
    }
}

fn waiting_state(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message,
        }),
        ..ContainerState::default()
    }
}

/// Shows why a container that should run does not.
fn show_waiting(
    seen: &Seen,
    pod_spec: &PodSpec,
    container: &Container,
    now: Timestamp,
    status: &mut ContainerStatus,
) {
    if super::stop::ending(seen, pod_spec, now).is_some()
        || !is_its_turn(seen, pod_spec, container, now)
    {
        return;
    }
    let is_idle = seen
        .newest(&container.name)
        .is_none_or(|one| one.state != State::Running);
    let is_wanted = match spec::role(pod_spec, &container.name) {
        Some(Role::App) => apps::should_run(seen, pod_spec, container),
        Some(Role::Init) => seen
            .current(&container.name)
            .is_none_or(|one| one.state != State::Exited || one.exit_code != 0),
        Some(Role::Sidecar) => true,
        Some(Role::Ephemeral) | None => seen.newest(&container.name).is_none(),
    };
    if !is_idle || !is_wanted {
        return;
    }
    if let Some(waiting) = reason(seen, container, now) {
        if status
            .state
            .as_ref()
            .is_some_and(|state| state.terminated.is_some())
        {
            status.last_state = status.state.take();
        }
        status.state = Some(waiting_state(&waiting.reason, Some(waiting.message)));
    }
}

/// Why it waits; what went wrong last stays in view while it is tried again.
fn reason(seen: &Seen, container: &Container, now: Timestamp) -> Option<Waiting> {
    let image = container.image.as_deref().unwrap_or_default();
    match waiting::next(seen, container, now) {
        Next::Wait(waiting) => Some(waiting),
        Next::Pull | Next::Inspect => {
            let pulled_before = seen.pull_failures.get(image).map(|failure| Waiting {
                reason: "ImagePullBackOff".to_owned(),
                message: format!(
                    "Back-off pulling image {image:?}: {}: {}",
                    failure.reason, failure.message
                ),
                until: None,
            });
            pulled_before.or_else(|| waiting::unusable(seen, container))
        }
        Next::Start { .. } => seen
            .start_failures
            .get(&container.name)
            .map(|failure| Waiting {
                reason: failure.reason.clone(),
                message: failure.message.clone(),
                until: None,
            }),
    }
}

/// Whether everything that comes before a container is done.
fn is_its_turn(seen: &Seen, pod_spec: &PodSpec, container: &Container, now: Timestamp) -> bool {
    if seen.sandbox().is_none() {
        return false;
    }
    match init::step(seen, pod_spec, now).stage {
        Stage::Running => true,
        Stage::Init { index } => {
            let mut inits = pod_spec.init_containers.iter().flatten();
            inits
                .position(|one| one.name == container.name)
                .is_some_and(|own| own <= index)
        }
        _ => false,
    }
}

/// `started` and `ready`.
fn show_probes(
    seen: &Seen,
    pod_spec: &PodSpec,
    container: &Container,
    newest: Option<&seen::Container>,
    old: Option<&ContainerStatus>,
    status: &mut ContainerStatus,
) {
    let role = spec::role(pod_spec, &container.name);
    if role == Some(Role::Ephemeral) {
        return;
    }
    let ended = status
        .state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    if role == Some(Role::Init) {
        status.ready = ended.is_some_and(|ended| ended.exit_code == 0);
        status.started = Some(
            status
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some()),
        );
        return;
    }
    let Some(running) = newest.filter(|one| one.state == State::Running) else {
        status.ready = false;
        status.started = Some(false);
        return;
    };
    let is_started = apps::has_started(seen, container, running);
    let verdict = seen
        .probes
        .get(&running.id)
        .and_then(|probes| probes.readiness);
    // Until an agent that has just started has probed, what it found stands.
    let before = old.filter(|old| old.container_id == status.container_id);
    let is_ready = container.readiness_probe.is_none()
        || verdict.unwrap_or_else(|| before.is_some_and(|old| old.ready));
    status.started = Some(is_started);
    status.ready = is_started && is_ready;
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let list = container
        .volume_mounts
        .as_ref()
        .filter(|list| !list.is_empty())?;
    let shown = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|&is_read_only| is_read_only),
        recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
        ..VolumeMountStatus::default()
    };
    Some(list.iter().map(shown).collect())
}
