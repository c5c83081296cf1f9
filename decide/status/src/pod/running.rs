//! Rules P8, P10 and P11: app containers that fail, and pods that serve.

use serde_json::Value;

use super::column::ending_reason;
use super::container::{
    Container, State, crash_sub_reason, exit_code, waiting_reason, waiting_sub_reason,
};
use super::creating;
use super::health::{Class, PodHealth, Seen};
use crate::field;
use crate::image;
use crate::reasons;
use crate::text::{Text, decisive};
use crate::verdict::{Severity, Status};

/// P8: each rule is tried on every container before the next rule, so that a failing container is
/// not hidden by one before it that is still being created.
pub(crate) fn broken<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let apps = &seen.apps;
    if let Some(container) = apps.iter().find(|container| container.failed_waiting()) {
        return Some(waiting(seen, container));
    }
    let ended = apps.iter().find_map(|container| match container.state() {
        State::Terminated(end) if !container.is_done() => Some((container, end)),
        State::Terminated(_) | State::Waiting { .. } | State::Running { .. } => None,
    });
    if let Some((container, end)) = ended {
        return Some(terminated(seen, container, end));
    }
    if let Some(health) = apps.iter().find_map(|container| latched(seen, container)) {
        return Some(health);
    }
    if field::is_true(seen.pod, "Ready") {
        return None;
    }
    let container = apps.iter().find(|container| container.is_waiting())?;
    creating::judge(seen, container).or_else(|| {
        let reason = "ContainerCreating";
        Some(
            PodHealth::starting(seen, reason)
                .message(seen.naming(container, reason))
                .container(container)
                .at(&container.field("state.waiting"), "")
                .since(seen.born()),
        )
    })
}

/// P7a and P8a: a container waits for a reason that is a failure.
pub(crate) fn waiting<'a>(seen: &Seen<'_, '_, 'a>, container: &Container<'_>) -> PodHealth<'a> {
    let State::Waiting {
        reason: raw_reason,
        message: raw,
    } = container.state()
    else {
        return PodHealth::blocked(seen, "ContainerStartError");
    };
    let (reason, mut words) = waiting_reason(raw_reason, raw);
    let mut told = raw.to_owned();
    if image::is_pull(&reason) && words.is_empty() {
        // Older kubelets leave the cause of a pull failure to the event.
        if let Some(event) = seen.env.events.warning(seen.pod, &["Failed"]) {
            words = decisive(event.message);
            event.message.clone_into(&mut told);
        }
    }
    let (en, zh) = match reasons::group(&reason) {
        "image" => container.image_detail(&words),
        "crash" => container.crash_detail(container.last_end()),
        _ => (words.clone(), words.clone()),
    };
    let mut message = seen.naming(container, &reason);
    if !en.is_empty() {
        message = message.with(&format!(", {en}"), &format!(",{zh}"));
    }
    let mut health = PodHealth::blocked(seen, &reason)
        .sub_reason(waiting_sub_reason(container, &reason, &told))
        .message(message)
        .container(container)
        .at(
            &container.field("state.waiting"),
            if raw.is_empty() { &told } else { raw },
        )
        .since(waiting_since(seen, container));
    if container.restarts() > 0 {
        health = health.log(true);
    }
    if raw.contains("Internal PreStartContainer hook failed") {
        health.step = Some("PreStartHookError");
    }
    health
}

fn waiting_since(seen: &Seen<'_, '_, '_>, container: &Container<'_>) -> Option<jiff::Timestamp> {
    let unready = field::condition(seen.pod, "ContainersReady")
        .and_then(|condition| field::time(condition, "lastTransitionTime"));
    unready.or_else(|| {
        container
            .last_end()
            .and_then(|end| field::time(end, "finishedAt"))
    })
}

/// P7b and P8b: a container ended that must run.
pub(crate) fn terminated<'a>(
    seen: &Seen<'_, '_, 'a>,
    container: &Container<'_>,
    end: &Value,
) -> PodHealth<'a> {
    let reason = if exit_code(end) == 0 {
        "ContainerExited".to_owned()
    } else {
        ending_reason(end)
    };
    let (en, zh) = container.crash_detail(Some(end));
    PodHealth::blocked(seen, &reason)
        .message(
            seen.naming(container, &reason)
                .with(&format!(", {en}"), &format!(",{zh}")),
        )
        .container(container)
        .log(false)
        .at(
            &container.field("state.terminated"),
            field::text(end, "message"),
        )
        .since(field::time(end, "finishedAt"))
}

/// P8c: the container runs between two crashes; without this the verdict would flap.
fn latched<'a>(seen: &Seen<'_, '_, 'a>, container: &Container<'_>) -> Option<PodHealth<'a>> {
    let State::Running { started_at } = container.state() else {
        return None;
    };
    let end = container.last_end().filter(|end| exit_code(end) != 0)?;
    let (clock, config) = (seen.env.clock, seen.env.config);
    let finished = field::time(end, "finishedAt")?;
    let restarts = container.restarts();
    let is_looping = if container.is_ready() {
        restarts >= config.flap_restarts
            && started_at.is_some_and(|at| !clock.past(at, config.crash_latch_seconds))
    } else {
        restarts >= 2
    };
    if !is_looping || clock.past(finished, config.restart_window_seconds) {
        return None;
    }
    let severity = if container.is_ready() {
        Severity::Warning
    } else {
        Severity::Error
    };
    let (en, zh) = container.crash_detail(Some(end));
    Some(
        PodHealth::blocked(seen, "CrashLoopBackOff")
            .severity(severity)
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
            .since(Some(finished)),
    )
}

/// P10 and P11: the pod serves.
pub(crate) fn ready<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let name = field::name(seen.pod);
    let has_condition = field::condition(seen.pod, "Ready").is_some();
    let all_ready = !seen.apps.is_empty() && seen.apps.iter().all(Container::is_ready);
    let since = field::condition(seen.pod, "Ready")
        .and_then(|ready| field::time(ready, "lastTransitionTime"));
    if field::is_true(seen.pod, "Ready") || (!has_condition && all_ready) {
        let health = frequent_restarts(seen).unwrap_or_else(|| {
            PodHealth::new(seen, Class::Ready, Status::Running, "Ready")
                .severity(Severity::Ok)
                .message(Text::new(
                    format!("pod {name} is ready"),
                    format!("Pod {name} 已就绪"),
                ))
                .at("status.conditions[Ready]", "")
                .since(since)
        });
        return Some(health);
    }
    let has_done = seen.apps.iter().any(Container::is_done);
    let others_ready = seen
        .apps
        .iter()
        .all(|container| container.is_done() || (container.is_running() && container.is_ready()));
    (has_done && others_ready).then(|| {
        PodHealth::new(seen, Class::Ready, Status::Running, "PartiallyCompleted")
            .severity(Severity::Ok)
            .message(Text::new(
                format!("pod {name}: some containers have completed, the others run"),
                format!("Pod {name}:部分容器已完成,其余运行中"),
            ))
            .since(since)
    })
}

/// P10: ready, but it keeps restarting.
fn frequent_restarts<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let (clock, config) = (seen.env.clock, seen.env.config);
    let (container, end) = seen.inits.iter().chain(&seen.apps).find_map(|container| {
        let end = container.last_end()?;
        let finished = field::time(end, "finishedAt")?;
        let often = container.restarts() >= config.flap_restarts
            && !clock.past(finished, config.restart_window_seconds);
        let counts = !container.is_init || container.is_sidecar();
        (often && counts).then_some((container, end))
    })?;
    let (en, zh) = container.crash_detail(Some(end));
    Some(
        PodHealth::new(seen, Class::Ready, Status::Running, "FrequentRestarts")
            .severity(Severity::Warning)
            .message(
                seen.naming(container, "FrequentRestarts")
                    .with(&format!(", {en}"), &format!(",{zh}")),
            )
            .container(container)
            .log(true)
            .at(
                &container.field("lastState.terminated"),
                field::text(end, "message"),
            )
            .since(field::time(end, "finishedAt")),
    )
}
