//! Rules P9 and P12: containers run, yet the pod is not ready.

use jiff::Timestamp;

use super::container::{Container, State};
use super::health::{PodHealth, Seen};
use crate::field;
use crate::text::{Text, decisive};

/// Kubernetes' default for a probe's `failureThreshold`.
const FAILURE_THRESHOLD_DEFAULT: i64 = 3;
/// Kubernetes' default for a probe's `periodSeconds`.
const PERIOD_SECONDS_DEFAULT: i64 = 10;
/// No sensible probe waits longer than this, in seconds; keeps absurd numbers from overflowing.
const BUDGET_SECONDS_MAX: i64 = 7 * 24 * 3600;

/// P12: a readiness gate holds the pod back.
pub(crate) fn gates<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let ready = field::condition(seen.pod, "Ready")?;
    if field::text(ready, "reason") != "ReadinessGatesNotReady" {
        return None;
    }
    let since = field::time(ready, "lastTransitionTime");
    let is_due = since.is_none_or(|since| {
        seen.env
            .clock
            .past(since, seen.env.config.ready_base_seconds)
    });
    let reason = "ReadinessGatesNotReady";
    let health = if is_due {
        PodHealth::blocked(seen, reason)
    } else {
        PodHealth::starting(seen, reason)
    };
    let message = field::text(ready, "message");
    let name = field::name(seen.pod);
    Some(
        health
            .message(
                Text::new(
                    format!("pod {name} waits for its readiness gates"),
                    format!("Pod {name} 等待就绪门控"),
                )
                .quoting(&decisive(message)),
            )
            .at("status.conditions[Ready]", message)
            .since(since),
    )
}

/// P9: the pod runs and is not ready; within its budget that is normal.
pub(crate) fn unready<'a>(seen: &Seen<'_, '_, 'a>) -> PodHealth<'a> {
    let sidecars = seen.inits.iter().filter(|container| container.is_sidecar());
    let unready: Vec<_> = seen
        .apps
        .iter()
        .chain(sidecars)
        .filter(|container| container.is_running() && !container.is_ready())
        .collect();
    let ready = field::condition(seen.pod, "Ready");
    let transition = ready.and_then(|ready| field::time(ready, "lastTransitionTime"));
    let overdue = unready.iter().find(|container| {
        let started = match container.state() {
            State::Running { started_at } => started_at,
            State::Waiting { .. } | State::Terminated(_) => None,
        };
        seen.env.clock.known_past(started, budget(seen, container))
    });
    if let Some(container) = overdue {
        return failing(seen, container, transition);
    }
    let name = field::name(seen.pod);
    let Some(container) = unready.first() else {
        return condition_only(seen, transition);
    };
    PodHealth::starting(seen, "ContainersNotReady")
        .message(Text::new(
            format!(
                "pod {name}, container {}: running, not ready yet",
                container.name
            ),
            format!("Pod {name} 的容器 {}:运行中,尚未就绪", container.name),
        ))
        .container(container)
        .log(false)
        .at(&container.field("ready"), "")
        .since(transition)
}

/// Every container is ready, only the pod's condition is not (yet).
fn condition_only<'a>(seen: &Seen<'_, '_, 'a>, transition: Option<Timestamp>) -> PodHealth<'a> {
    let name = field::name(seen.pod);
    let is_due = seen
        .env
        .clock
        .known_past(transition, seen.env.config.ready_base_seconds);
    let health = if is_due {
        PodHealth::blocked(seen, "ContainersNotReady")
    } else {
        PodHealth::starting(seen, "ContainersNotReady")
    };
    let said =
        field::condition(seen.pod, "Ready").map_or("", |ready| field::text(ready, "message"));
    health
        .message(
            Text::new(
                format!("pod {name} is not marked ready"),
                format!("Pod {name} 未被标记为就绪"),
            )
            .quoting(&decisive(said)),
        )
        .at("status.conditions[Ready]", said)
        .since(transition)
}

fn failing<'a>(
    seen: &Seen<'_, '_, 'a>,
    container: &Container<'_>,
    since: Option<Timestamp>,
) -> PodHealth<'a> {
    let reason = if container.started() == Some(false) && container.probe("startupProbe").is_some()
    {
        "StartupProbeFailing"
    } else if container.probe("readinessProbe").is_some() {
        "ReadinessProbeFailing"
    } else {
        "ContainersNotReady"
    };
    let said = seen
        .env
        .events
        .warning(seen.pod, &["Unhealthy"])
        .map_or("", |event| event.message);
    PodHealth::blocked(seen, reason)
        .message(seen.naming(container, reason).quoting(&decisive(said)))
        .container(container)
        .log(false)
        .at(&container.field("ready"), said)
        .since(since)
}

/// The time that a container may take to become ready.
fn budget(seen: &Seen<'_, '_, '_>, container: &Container<'_>) -> i64 {
    ["startupProbe", "readinessProbe"]
        .iter()
        .filter_map(|name| container.probe(name))
        .map(|probe| {
            let number = |path: &str, default: i64| {
                field::int(probe, path)
                    .filter(|number| *number > 0)
                    .unwrap_or(default)
                    .min(BUDGET_SECONDS_MAX)
            };
            let threshold = number("failureThreshold", FAILURE_THRESHOLD_DEFAULT);
            let period = number("periodSeconds", PERIOD_SECONDS_DEFAULT);
            number("initialDelaySeconds", 0).saturating_add(threshold.saturating_mul(period))
        })
        .fold(seen.env.config.ready_base_seconds, i64::saturating_add)
        .min(BUDGET_SECONDS_MAX)
}
