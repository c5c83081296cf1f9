//! Init containers: in order, each to its end; sidecars among them only until they have started.
//!
//! Source: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `computeInitContainerActions`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::apps::{self, Health};
use super::step::{Stage, Step};
use super::{spec, waiting};
use crate::seen::{Seen, State};

/// Whether the app containers may start, have started, or must wait for an init container.
///
/// The stage is `Running` when they may.
pub(super) fn step(seen: &Seen, pod_spec: &PodSpec, now: Timestamp) -> Step {
    let is_initialized = is_initialized(seen, pod_spec);
    let mut step = Step::new(Stage::Running);
    for (index, init) in pod_spec.init_containers.iter().flatten().enumerate() {
        let is_passed = if spec::is_sidecar(init) {
            sidecar(seen, pod_spec, init, now, &mut step)
        } else if is_initialized {
            true
        } else {
            ordinary(seen, pod_spec, init, now, &mut step)
        };
        if !is_passed && !is_initialized {
            step.stage = Stage::Init { index };
            return step;
        }
    }
    step
}

/// Whether an app container was ever made in the sandbox in use.
fn is_initialized(seen: &Seen, pod_spec: &PodSpec) -> bool {
    pod_spec
        .containers
        .iter()
        .any(|app| seen.current(&app.name).is_some())
}

/// One that runs to its end; true when it has succeeded.
fn ordinary(
    seen: &Seen,
    pod_spec: &PodSpec,
    init: &Container,
    now: Timestamp,
    step: &mut Step,
) -> bool {
    match seen.current(&init.name) {
        Some(one) if one.state == State::Running => false,
        Some(one) if one.state == State::Exited && one.exit_code == 0 => true,
        Some(one) if one.state == State::Unknown => {
            apps::kill(seen, pod_spec, one, Health::Unknown, step);
            false
        }
        // One that must not run again has failed the pod, which `stop::ending` has seen to.
        Some(_) | None => {
            waiting::push_next(seen, init, now, step);
            false
        }
    }
}

/// One that keeps running; true once it has started.
fn sidecar(
    seen: &Seen,
    pod_spec: &PodSpec,
    init: &Container,
    now: Timestamp,
    step: &mut Step,
) -> bool {
    match seen.current(&init.name) {
        Some(one) if one.state == State::Running => match apps::health(seen, init, one) {
            Health::Good => apps::has_started(seen, init, one),
            bad => {
                apps::kill(seen, pod_spec, one, bad, step);
                false
            }
        },
        Some(one) if one.state == State::Unknown => {
            apps::kill(seen, pod_spec, one, Health::Unknown, step);
            false
        }
        Some(_) | None => {
            waiting::push_next(seen, init, now, step);
            false
        }
    }
}
