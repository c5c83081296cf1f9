//! The phase of a pod.
//!
//! Source: `pkg/kubelet/kubelet_pods.go`, `getPhase`.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};

use super::spec;

/// A phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    /// The word in `status.phase`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// Whether a pod never leaves it.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// The final phase that the pod's status states.
pub(super) fn stated_final(pod: &Pod) -> Option<Phase> {
    match pod.status.as_ref()?.phase.as_deref()? {
        "Succeeded" => Some(Phase::Succeeded),
        "Failed" => Some(Phase::Failed),
        _ => None,
    }
}

/// The phase that the pod's status states of a pod that is not over.
pub(super) fn stated_living(pod: &Pod) -> Phase {
    let stated = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    if stated == Some("Running") {
        Phase::Running
    } else {
        Phase::Pending
    }
}

/// Where one container stands, as far as the phase is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unknown,
    Waiting,
    Running,
    /// Ended, or waiting to be started again, with this exit code.
    Stopped(i32),
}

fn standing(statuses: &[ContainerStatus], name: &str) -> Standing {
    let Some(status) = statuses.iter().find(|one| one.name == name) else {
        return Standing::Unknown;
    };
    let Some(state) = &status.state else {
        return Standing::Unknown;
    };
    if state.running.is_some() {
        return Standing::Running;
    }
    if let Some(ended) = &state.terminated {
        return Standing::Stopped(ended.exit_code);
    }
    if state.waiting.is_none() {
        return Standing::Unknown;
    }
    let last = status
        .last_state
        .as_ref()
        .and_then(|last| last.terminated.as_ref());
    last.map_or(Standing::Waiting, |ended| {
        Standing::Stopped(ended.exit_code)
    })
}

/// Computes the phase from the statuses of init and app containers.
///
/// `is_ending`: nothing will be started any more. `is_initialized`: an app container has run.
pub(super) fn phase(
    pod_spec: &PodSpec,
    statuses: &[ContainerStatus],
    is_ending: bool,
    is_initialized: bool,
) -> Phase {
    let mut is_init_pending = false;
    let mut waiting = 0;
    let mut running = 0;
    let mut unknown = 0;
    for init in pod_spec.init_containers.iter().flatten() {
        let stands = standing(statuses, &init.name);
        if spec::is_sidecar(init) {
            let is_started = statuses
                .iter()
                .any(|one| one.name == init.name && one.started == Some(true));
            match stands {
                Standing::Running => {
                    running += 1;
                    is_init_pending |= !is_started && !is_initialized;
                }
                Standing::Waiting => {
                    waiting += 1;
                    is_init_pending |= !is_initialized;
                }
                Standing::Unknown => unknown += 1,
                Standing::Stopped(_) => {}
            }
            continue;
        }
        match stands {
            Standing::Stopped(0) => {}
            Standing::Stopped(code) if !spec::restarts(pod_spec, init, code) => {
                return Phase::Failed;
            }
            Standing::Stopped(_) => {}
            Standing::Unknown | Standing::Waiting | Standing::Running => is_init_pending = true,
        }
    }
    let apps: Vec<(&Container, Standing)> = pod_spec
        .containers
        .iter()
        .map(|app| (app, standing(statuses, &app.name)))
        .collect();
    let count = |wanted: Standing| apps.iter().filter(|(_, stands)| *stands == wanted).count();
    running += count(Standing::Running);
    waiting += count(Standing::Waiting);
    unknown += count(Standing::Unknown);
    if is_init_pending || waiting > 0 || unknown > 0 {
        return Phase::Pending;
    }
    if running > 0 {
        return Phase::Running;
    }
    ended(pod_spec, &apps, is_ending)
}

/// The phase of a pod none of whose containers runs.
fn ended(pod_spec: &PodSpec, apps: &[(&Container, Standing)], is_ending: bool) -> Phase {
    if apps.is_empty() {
        return Phase::Pending;
    }
    let code = |stands: &Standing| match stands {
        Standing::Stopped(code) => *code,
        _ => 0,
    };
    let restarts = apps
        .iter()
        .any(|(app, stands)| spec::restarts(pod_spec, app, code(stands)));
    if restarts && !is_ending {
        return Phase::Running;
    }
    if apps
        .iter()
        .all(|(_, stands)| *stands == Standing::Stopped(0))
    {
        Phase::Succeeded
    } else {
        Phase::Failed
    }
}
