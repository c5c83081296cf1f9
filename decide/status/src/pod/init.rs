//! Rule P7: init containers and native sidecars, in order.

use super::container::{Container, State, crash_sub_reason, exit_code};
use super::creating;
use super::health::{PodHealth, Seen};
use super::running::{terminated, waiting};
use crate::field;
use crate::text::Text;

/// Judges the first init container that is not done; `None` when all are.
pub(crate) fn judge<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let is_initialized = field::is_true(seen.pod, "Initialized");
    let (index, container) = seen.inits.iter().enumerate().find(|(_, container)| {
        let is_past = container.has_succeeded()
            || (container.is_sidecar() && container.started() == Some(true))
            || (!container.is_sidecar() && is_initialized);
        !is_past
    })?;
    if container.failed_waiting() {
        return Some(waiting(seen, container));
    }
    match container.state() {
        State::Terminated(end) => return Some(terminated(seen, container, end)),
        State::Running { .. } => {
            if let Some(health) = looping(seen, container) {
                return Some(health);
            }
        }
        State::Waiting { .. } => {
            if let Some(health) = creating::judge(seen, container) {
                return Some(health);
            }
        }
    }
    let (name, number, total) = (field::name(seen.pod), index + 1, seen.inits.len());
    Some(
        PodHealth::starting(seen, "Initializing")
            .message(Text::new(
                format!(
                    "pod {name} is initializing: init container {number} of {total} ({})",
                    container.name
                ),
                format!(
                    "Pod {name} 初始化中:第 {number}/{total} 个初始化容器({})",
                    container.name
                ),
            ))
            .container(container)
            .at(&container.field("state"), ""),
    )
}

/// P7c: it runs, but only until it fails again. Its last failure must be recent, so that a long run
/// after two failures counts as progress.
fn looping<'a>(seen: &Seen<'_, '_, 'a>, container: &Container<'_>) -> Option<PodHealth<'a>> {
    let end = container.last_end().filter(|end| exit_code(end) != 0)?;
    if container.restarts() < 2 {
        return None;
    }
    let finished = field::time(end, "finishedAt");
    let window = seen.env.config.restart_window_seconds;
    if seen.env.clock.known_past(finished, window) {
        return None;
    }
    let (en, zh) = container.crash_detail(Some(end));
    Some(
        PodHealth::blocked(seen, "CrashLoopBackOff")
            .sub_reason(Some(crash_sub_reason(end)))
            .message(
                seen.naming(container, "CrashLoopBackOff")
                    .with(&format!(", {en}"), &format!(",{zh}")),
            )
            .container(container)
            .log(true)
            .at(
                &container.field("lastState.terminated"),
                field::text(end, "message"),
            )
            .since(finished),
    )
}
