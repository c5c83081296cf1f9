//! Rule CB: what keeps a container from being created while its own status says nothing.
//!
//! Volumes, network and sandbox are told by events only. Beyond the specification, a warning is
//! overtaken when the pod has passed that step since: its `PodReadyToStartContainers` condition
//! turned True, or the kubelet went on to pull, create or start. So an early mount failure does not
//! blame a slow image pull.

use jiff::Timestamp;

use super::container::Container;
use super::health::{PodHealth, Seen};
use crate::events::{Event, STEPS};
use crate::field;
use crate::text::{Text, decisive};
use crate::verdict::Severity;

/// Warnings that explain a container that is not created.
const WARNINGS: [&str; 7] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
    "FailedPrepareDynamicResources",
    "NetworkNotReady",
    "FailedCreatePodContainer",
];

/// The pod as blocked, if something is known to keep its containers away, or if it takes too long.
pub(crate) fn judge<'a>(
    seen: &Seen<'_, '_, 'a>,
    container: &Container<'_>,
) -> Option<PodHealth<'a>> {
    if let Some(event) = standing_warning(seen) {
        let name = field::name(seen.pod);
        let mut health = PodHealth::blocked(seen, event.reason)
            .message(
                Text::new(
                    format!("pod {name} cannot start: {}", event.reason),
                    format!(
                        "Pod {name} 无法启动:{}",
                        crate::reasons::named_zh(event.reason)
                    ),
                )
                .quoting(&decisive(event.message)),
            )
            .at(&format!("events[{}]", event.reason), event.message)
            .since(event.at);
        health.is_by_event = true;
        return Some(health);
    }
    let moved = moved(seen);
    if !seen
        .env
        .clock
        .known_past(moved, seen.env.config.start_grace_seconds)
    {
        return None;
    }
    let pulling = seen.env.events.normal(seen.pod, &STEPS);
    let doing = pulling
        .filter(|event| event.reason == "Pulling")
        .map(|event| decisive(event.message))
        .unwrap_or_default();
    Some(
        PodHealth::blocked(seen, "ContainerCreatingTimeout")
            .severity(Severity::Warning)
            .message(
                seen.naming(container, "ContainerCreatingTimeout")
                    .quoting(&doing),
            )
            .container(container)
            .at(&container.field("state.waiting"), "")
            .since(moved),
    )
}

fn standing_warning<'a>(seen: &Seen<'_, '_, 'a>) -> Option<Event<'a>> {
    let warning = seen.env.events.warning(seen.pod, &WARNINGS)?;
    let sandbox_ready = field::condition(seen.pod, "PodReadyToStartContainers")
        .filter(|ready| field::text(ready, "status") == "True")
        .and_then(|ready| field::time(ready, "lastTransitionTime"));
    let later = seen
        .env
        .events
        .normal(seen.pod, &STEPS)
        .and_then(|event| event.at);
    let passed = sandbox_ready.max(later);
    (passed.is_none() || passed <= warning.at).then_some(warning)
}

/// When the pod last got further.
fn moved(seen: &Seen<'_, '_, '_>) -> Option<Timestamp> {
    let conditions = ["PodScheduled", "Initialized", "PodReadyToStartContainers"]
        .iter()
        .filter_map(|kind| field::condition(seen.pod, kind))
        .filter(|condition| field::text(condition, "status") == "True")
        .filter_map(|condition| field::time(condition, "lastTransitionTime"));
    let ends = seen.inits.iter().chain(&seen.apps).filter_map(|container| {
        let now = match container.state() {
            super::container::State::Terminated(end) => field::time(end, "finishedAt"),
            super::container::State::Waiting { .. } | super::container::State::Running { .. } => {
                None
            }
        };
        now.max(
            container
                .last_end()
                .and_then(|end| field::time(end, "finishedAt")),
        )
    });
    conditions.chain(ends).chain(seen.born()).max()
}
