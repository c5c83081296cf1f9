//! The end of a pod: why it ends, in which order its containers stop, and what is cleared away.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::spec::{self, Role};
use super::step::{Action, Stage, Step};
use super::{apps, phase};
use crate::back_off::later;
use crate::events::{self, Event};
use crate::seen::{Container, Doing, Seen, State, Subject, Volumes};

/// Grace period of a pod that states none, in seconds.
///
/// Source: `pkg/apis/core/v1/defaults.go`.
const GRACE_SECONDS_DEFAULT: i64 = 30;
/// Shortest grace period, in seconds.
///
/// Source: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `minimumGracePeriodInSeconds`.
const GRACE_SECONDS_MIN: i64 = 2;

/// What a pod is told that ran too long.
///
/// Source: `pkg/kubelet/active_deadline.go`.
pub(super) const DEADLINE_MESSAGE: &str =
    "Pod was active on the node longer than the specified deadline";

/// Why a pod ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The API server no longer has it.
    Orphan,
    /// It is being deleted.
    Deleted {
        /// When what still runs is killed.
        deadline: Timestamp,
    },
    /// Its phase is final already, as whoever set it decided.
    Final,
    /// The node does not take it.
    Rejected,
    /// It takes more of the node than it may.
    Evicted,
    /// It ran longer than `activeDeadlineSeconds`.
    DeadlineExceeded,
    /// All its containers have ended and none will run again.
    Completed,
}

/// Why a pod ends; `None` when it is to go on.
pub(super) fn ending(seen: &Seen, pod_spec: &PodSpec, now: Timestamp) -> Option<Ending> {
    if seen.is_orphan {
        return Some(Ending::Orphan);
    }
    if let Some(deadline) = seen.pod.metadata.deletion_timestamp.as_ref() {
        return Some(Ending::Deleted {
            deadline: deadline.0,
        });
    }
    if phase::stated_final(&seen.pod).is_some() {
        return Some(Ending::Final);
    }
    if seen.rejection.is_some() {
        return Some(Ending::Rejected);
    }
    if seen.eviction.is_some() {
        return Some(Ending::Evicted);
    }
    if active_deadline(seen).is_some_and(|deadline| now >= deadline) {
        return Some(Ending::DeadlineExceeded);
    }
    is_completed(seen, pod_spec).then_some(Ending::Completed)
}

/// When a pod has run as long as it may; `None` without such a bound or before its start.
pub(super) fn active_deadline(seen: &Seen) -> Option<Timestamp> {
    let seconds = seen.pod.spec.as_ref()?.active_deadline_seconds?;
    let started = seen.pod.status.as_ref()?.start_time.as_ref()?;
    Some(later(started.0, seconds))
}

/// Whether nothing will run any more: an init container failed for good, or all app containers ended for good.
fn is_completed(seen: &Seen, pod_spec: &PodSpec) -> bool {
    if !seen.in_flight.is_empty() {
        return false;
    }
    let failed_init = pod_spec.init_containers.iter().flatten().any(|init| {
        let ended = seen
            .newest(&init.name)
            .filter(|one| one.state == State::Exited);
        !spec::is_sidecar(init)
            && ended.is_some_and(|one| {
                one.exit_code != 0 && !spec::restarts(pod_spec, init, one.exit_code)
            })
            && !pod_spec
                .containers
                .iter()
                .any(|app| seen.newest(&app.name).is_some())
    });
    let is_over = |app: &k8s_openapi::api::core::v1::Container| {
        let lives = seen
            .newest(&app.name)
            .is_some_and(|one| one.state != State::Exited);
        !lives && !apps::should_run(seen, pod_spec, app)
    };
    failed_init || !pod_spec.containers.is_empty() && pod_spec.containers.iter().all(is_over)
}

/// What to do for a pod that ends.
pub(super) fn step(seen: &Seen, pod_spec: &PodSpec, ending: &Ending, now: Timestamp) -> Step {
    let deadline = match ending {
        Ending::Deleted { deadline } => Some(*deadline),
        _ => None,
    };
    let mut step = Step::new(Stage::Stopping { deadline });
    cancel_pulls(seen, &mut step);
    if *ending == Ending::DeadlineExceeded {
        let event = Event::normal(events::DEADLINE_EXCEEDED, DEADLINE_MESSAGE);
        step.push(seen, Action::Record(event));
    }
    if let (Ending::Rejected, Some(rejection)) = (ending, &seen.rejection) {
        let event = Event::warning(rejection.reason.clone(), &rejection.message);
        step.push(seen, Action::Record(event));
    }
    if let (Ending::Evicted, Some(message)) = (ending, &seen.eviction) {
        let event = Event::warning(events::EVICTED, message);
        step.push(seen, Action::Record(event));
    }
    let living: Vec<&Container> = seen.living().collect();
    if !living.is_empty() {
        stop_living(seen, pod_spec, &living, ending, now, &mut step);
        return step;
    }
    let is_busy = |subject: &Subject| !matches!(subject, Subject::Volumes | Subject::Object);
    if seen.in_flight.keys().any(is_busy) {
        return step;
    }
    for sandbox in seen.sandboxes.iter().filter(|one| one.is_ready) {
        let id = sandbox.id.clone();
        step.push(seen, Action::StopSandbox { id });
    }
    if step.actions.iter().any(|action| action.subject().is_some()) {
        return step;
    }
    clear(seen, ending, &mut step);
    step
}

/// What remains once nothing runs.
fn clear(seen: &Seen, ending: &Ending, step: &mut Step) {
    let is_leaving = matches!(ending, Ending::Orphan | Ending::Deleted { .. });
    if is_leaving || seen.is_status_written {
        if seen.volumes != Volumes::Removed {
            step.push(seen, Action::RemoveVolumes);
            return;
        }
    } else {
        return;
    }
    match ending {
        Ending::Deleted { .. } if seen.is_status_written => step.push(seen, Action::DeletePod),
        Ending::Deleted { .. } => {}
        Ending::Orphan => {
            for sandbox in &seen.sandboxes {
                let id = sandbox.id.clone();
                step.push(seen, Action::RemoveSandbox { id });
            }
            step.stage = if seen.sandboxes.is_empty() {
                Stage::Gone
            } else {
                Stage::Finished
            };
        }
        Ending::Final
        | Ending::Rejected
        | Ending::Evicted
        | Ending::DeadlineExceeded
        | Ending::Completed => {
            step.stage = Stage::Finished;
        }
    }
}

fn cancel_pulls(seen: &Seen, step: &mut Step) {
    for (subject, doing) in &seen.in_flight {
        if let (Subject::Container(name), Doing::Pulling) = (subject, doing) {
            step.actions.push(Action::Cancel { name: name.clone() });
        }
    }
}

/// Stops app containers first, then sidecars, the last to start first.
fn stop_living(
    seen: &Seen,
    pod_spec: &PodSpec,
    living: &[&Container],
    ending: &Ending,
    now: Timestamp,
    step: &mut Step,
) {
    let is_sidecar = |one: &&&Container| spec::role(pod_spec, &one.name) == Some(Role::Sidecar);
    let first: Vec<&&Container> = living.iter().filter(|one| !is_sidecar(one)).collect();
    let (batch, grace_max) = if first.is_empty() {
        let names: BTreeSet<&str> = living.iter().map(|one| one.name.as_str()).collect();
        let mut inits = pod_spec.init_containers.iter().flatten().rev();
        let last = inits.find(|init| names.contains(init.name.as_str()));
        let last = last.map(|init| init.name.as_str());
        let batch = living
            .iter()
            .filter(|one| last.is_none_or(|name| one.name == name))
            .collect();
        (batch, remaining(seen, pod_spec, ending, now))
    } else {
        (first, remaining(seen, pod_spec, ending, now))
    };
    for container in batch {
        let message = format!("Stopping container {}", container.name);
        let grace = grace_max.or(container.grace_seconds);
        step.push(seen, stop(seen, pod_spec, container, message, grace));
    }
}

/// Seconds left for a pod that ends; `None` for the container's own.
fn remaining(seen: &Seen, pod_spec: &PodSpec, ending: &Ending, now: Timestamp) -> Option<i64> {
    match ending {
        Ending::Deleted { deadline } => {
            let stated = seen.pod.metadata.deletion_grace_period_seconds;
            if stated == Some(0) {
                return Some(0);
            }
            // The deadline is written without the part of a second that was due as well.
            let left = deadline.duration_since(now).as_secs() + 1;
            let left = stated.map_or(left, |stated| left.min(stated));
            Some(left.max(GRACE_SECONDS_MIN))
        }
        Ending::Orphan => None,
        // Upstream asks for one second, less than containers are ever given.
        Ending::Evicted => Some(GRACE_SECONDS_MIN),
        Ending::Final | Ending::Rejected | Ending::DeadlineExceeded | Ending::Completed => {
            pod_spec.termination_grace_period_seconds
        }
    }
}

/// The grace period of a pod, in seconds: that of its deletion, else its own.
pub fn grace_seconds(pod: &Pod) -> i64 {
    let stated = pod
        .spec
        .as_ref()
        .and_then(|one| one.termination_grace_period_seconds);
    let deletion = pod.metadata.deletion_grace_period_seconds;
    deletion.or(stated).unwrap_or(GRACE_SECONDS_DEFAULT)
}

/// The stop of one container; `grace` where another grace period than the pod's applies.
pub(super) fn stop(
    seen: &Seen,
    pod_spec: &PodSpec,
    container: &Container,
    message: String,
    grace: Option<i64>,
) -> Action {
    let own = || container.grace_seconds.filter(|_| seen.is_orphan);
    let grace_seconds = grace
        .or_else(own)
        .unwrap_or_else(|| grace_seconds(&seen.pod))
        .max(0);
    let with_hook = spec::find(pod_spec, &container.name)
        .and_then(|one| one.lifecycle.as_ref()?.pre_stop.as_ref())
        .is_some();
    Action::Stop {
        name: container.name.clone(),
        id: container.id.clone(),
        grace_seconds,
        message,
        with_hook: with_hook && grace_seconds > 0,
    }
}
