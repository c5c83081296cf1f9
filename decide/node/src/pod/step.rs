//! The next step of a pod.
//!
//! The stage is computed from what is seen, never remembered: the same picture gives the same step,
//! whoever looks at it and however often.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodSpec;

use super::{apps, init, spec, stop};
use crate::back_off;
use crate::events::{self, Event};
use crate::seen::{Doing, Seen, State, Subject, Volumes};

/// Where a pod stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Volumes are put in place.
    Volumes,
    /// The sandbox is made.
    Sandbox,
    /// Init containers run; this one is next or running.
    Init {
        /// Its place in the spec.
        index: usize,
    },
    /// App containers run, or are started or restarted.
    Running,
    /// Everything is being stopped.
    Stopping {
        /// When what still runs is killed; `None` without a bound.
        deadline: Option<Timestamp>,
    },
    /// Nothing runs any more, and nothing will; dead containers stay for their logs.
    Finished,
    /// Nothing is left to do.
    Gone,
}

/// How a container is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The container's name.
    pub name: String,
    /// Number of restarts before this instance.
    pub attempt: u32,
    /// Crashes in a row before this instance.
    pub crashes: u32,
    /// The sandbox to start it in.
    pub sandbox_id: String,
    /// The image's id on the node.
    pub image_id: String,
    /// Whether it was pulled for this start, which has been told already.
    pub is_pulled: bool,
}

/// One thing for the agent to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put the volumes in place.
    MountVolumes,
    /// Take the volumes away, and whatever else the pod has on disk.
    RemoveVolumes,
    /// Make the sandbox.
    RunSandbox {
        /// How many sandboxes the pod had before.
        attempt: u32,
    },
    /// Stop a sandbox: its network and its first process.
    StopSandbox {
        /// The runtime's id.
        id: String,
    },
    /// Remove a sandbox and the containers in it.
    RemoveSandbox {
        /// The runtime's id.
        id: String,
    },
    /// Find out whether an image is on the node.
    InspectImage {
        /// The container that wants it.
        name: String,
        /// The reference in the spec.
        image: String,
    },
    /// Pull an image.
    PullImage {
        /// The container that wants it.
        name: String,
        /// The reference in the spec.
        image: String,
        /// The instance it is pulled for.
        attempt: u32,
    },
    /// Give up what is being done to a container; only ever a pull.
    Cancel {
        /// The container's name.
        name: String,
    },
    /// Create and start a container.
    Start(Start),
    /// Stop a container.
    Stop {
        /// The container's name.
        name: String,
        /// The runtime's id.
        id: String,
        /// How long it may take before it is killed, in seconds; 0 kills at once.
        grace_seconds: i64,
        /// Why, for the event.
        message: String,
        /// Whether the hook before the stop runs.
        with_hook: bool,
    },
    /// Remove a dead container.
    RemoveContainer {
        /// The container's name.
        name: String,
        /// The runtime's id.
        id: String,
    },
    /// Remove the object from the API server.
    DeletePod,
    /// Record an event.
    Record(Event),
}

impl Action {
    /// What the action is about; `None` for one that takes no time.
    pub fn subject(&self) -> Option<(Subject, Doing)> {
        let container = |name: &str| Subject::Container(name.to_owned());
        match self {
            Self::MountVolumes => Some((Subject::Volumes, Doing::Starting)),
            Self::RemoveVolumes => Some((Subject::Volumes, Doing::Stopping)),
            Self::RunSandbox { .. } => Some((Subject::Sandbox, Doing::Starting)),
            Self::StopSandbox { .. } | Self::RemoveSandbox { .. } => {
                Some((Subject::Sandbox, Doing::Stopping))
            }
            Self::InspectImage { name, .. } | Self::PullImage { name, .. } => {
                Some((container(name), Doing::Pulling))
            }
            Self::Start(start) => Some((container(&start.name), Doing::Starting)),
            Self::Stop { name, .. } | Self::RemoveContainer { name, .. } => {
                Some((container(name), Doing::Stopping))
            }
            Self::DeletePod => Some((Subject::Object, Doing::Stopping)),
            Self::Cancel { .. } | Self::Record(_) => None,
        }
    }
}

/// What to do now, and when to look again if nothing changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the pod stands.
    pub stage: Stage,
    /// What to do, in order; each on a subject that is free.
    pub actions: Vec<Action>,
    /// When to decide again even if nothing is seen to change.
    pub wake_at: Option<Timestamp>,
}

impl Step {
    pub(super) fn new(stage: Stage) -> Self {
        Self {
            stage,
            actions: Vec::new(),
            wake_at: None,
        }
    }

    /// Adds an action unless something is already being done to its subject, in `seen` or by this step.
    pub(super) fn push(&mut self, seen: &Seen, action: Action) {
        if let Some((subject, _)) = action.subject() {
            let is_taken = |other: &Action| other.subject().is_some_and(|(own, _)| own == subject);
            if seen.in_flight.contains_key(&subject) || self.actions.iter().any(is_taken) {
                return;
            }
        }
        self.actions.push(action);
    }

    /// Asks to be woken no later than this.
    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Decides the next step of one pod.
pub fn step(seen: &Seen, now: Timestamp) -> Step {
    let pod_spec = spec::of(&seen.pod);
    if let Some(ending) = stop::ending(seen, &pod_spec, now) {
        return stop::step(seen, &pod_spec, &ending, now);
    }
    let mut step = live_step(seen, &pod_spec, now);
    collect_dead(seen, &mut step);
    if let Some(deadline) = stop::active_deadline(seen) {
        step.wake(deadline);
    }
    step
}

fn live_step(seen: &Seen, pod_spec: &PodSpec, now: Timestamp) -> Step {
    match &seen.volumes {
        Volumes::Ready => {}
        Volumes::Failed(failure) if now < back_off::retry_at(failure) => {
            let mut step = Step::new(Stage::Volumes);
            step.wake(back_off::retry_at(failure));
            return step;
        }
        Volumes::Missing | Volumes::Failed(_) | Volumes::Removed => {
            let mut step = Step::new(Stage::Volumes);
            step.push(seen, Action::MountVolumes);
            return step;
        }
    }
    if seen.sandbox().is_none() {
        return sandbox_step(seen, pod_spec, now);
    }
    let mut step = init::step(seen, pod_spec, now);
    if step.stage == Stage::Running {
        apps::step(seen, pod_spec, now, &mut step);
    }
    step
}

/// Clears what is left of an old sandbox away, then makes a new one.
fn sandbox_step(seen: &Seen, pod_spec: &PodSpec, now: Timestamp) -> Step {
    let mut step = Step::new(Stage::Sandbox);
    if seen.in_flight.contains_key(&Subject::Sandbox) {
        return step;
    }
    for container in seen.living() {
        let message = format!("Stopping container {}", container.name);
        step.push(seen, stop::stop(seen, pod_spec, container, message, None));
    }
    for sandbox in seen.sandboxes.iter().filter(|one| one.is_ready) {
        let id = sandbox.id.clone();
        step.push(seen, Action::StopSandbox { id });
    }
    if !step.actions.is_empty() || !seen.in_flight.is_empty() {
        return step;
    }
    if let Some(error) = &seen.node.network_error
        && !seen.is_host_network()
    {
        let message = format!("network is not ready: {error}");
        step.push(
            seen,
            Action::Record(Event::warning(events::NETWORK_NOT_READY, message)),
        );
        step.wake(back_off::later(now, back_off::RETRY_SECONDS));
        return step;
    }
    if let Some(failure) = &seen.sandbox_failure
        && now < back_off::retry_at(failure)
    {
        step.wake(back_off::retry_at(failure));
        return step;
    }
    let attempt = seen
        .sandboxes
        .first()
        .map_or(0, |newest| newest.attempt + 1);
    if attempt > 0 && seen.sandbox_failure.is_none() {
        let message = "Pod sandbox changed, it will be killed and re-created.";
        step.push(
            seen,
            Action::Record(Event::normal(events::SANDBOX_CHANGED, message)),
        );
    }
    step.push(seen, Action::RunSandbox { attempt });
    step
}

/// Removes what no one can ask for any more: all but the newest two instances of each container,
/// and sandboxes that hold none of those.
fn collect_dead(seen: &Seen, step: &mut Step) {
    const KEPT: usize = 2;
    let Some(current) = seen.sandbox() else {
        return;
    };
    for container in seen
        .containers
        .iter()
        .filter(|one| one.state == State::Exited)
    {
        let newer = |one: &&crate::seen::Container| one.name == container.name;
        let place = seen
            .containers
            .iter()
            .filter(newer)
            .position(|one| one.id == container.id);
        if place.is_some_and(|place| place >= KEPT) {
            let (name, id) = (container.name.clone(), container.id.clone());
            step.push(seen, Action::RemoveContainer { name, id });
        }
    }
    for sandbox in seen.sandboxes.iter().filter(|one| one.id != current.id) {
        let is_empty = !seen
            .containers
            .iter()
            .any(|one| one.sandbox_id == sandbox.id);
        let id = sandbox.id.clone();
        if sandbox.is_ready {
            step.push(seen, Action::StopSandbox { id });
        } else if is_empty {
            step.push(seen, Action::RemoveSandbox { id });
        }
    }
}

#[cfg(test)]
mod tests;
