//! Rules P5 and P6: pods that have no node yet.

use serde_json::Value;

use super::health::{Class, PodHealth, Seen};
use crate::field;
use crate::text::{Text, cut};
use crate::unschedulable;
use crate::verdict::Status;

/// Judges a pod that is not scheduled; `None` when it is.
pub(crate) fn judge<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let condition = field::condition(seen.pod, "PodScheduled");
    match condition {
        Some(scheduled) if has_begun(seen) && !is_gated(scheduled) => None,
        Some(scheduled) => refused(seen, scheduled),
        None => unpicked(seen),
    }
}

/// Whether the containers report, or the phase says that they run: a condition that says that the pod
/// has no node is out of date then.
fn has_begun(seen: &Seen<'_, '_, '_>) -> bool {
    !field::list(seen.pod, "status.containerStatuses").is_empty() && seen.phase() == "Running"
}

fn is_gated(scheduled: &Value) -> bool {
    field::text(scheduled, "reason") == "SchedulingGated"
}

fn refused<'a>(seen: &Seen<'_, '_, 'a>, scheduled: &'a Value) -> Option<PodHealth<'a>> {
    let name = field::name(seen.pod);
    let reason = field::text(scheduled, "reason");
    let message = field::text(scheduled, "message");
    let since = field::time(scheduled, "lastTransitionTime");
    if is_gated(scheduled) {
        let gates = gates(seen.pod);
        let health = PodHealth::new(seen, Class::Gated, Status::Waiting, "SchedulingGated");
        return Some(
            health
                .message(Text::new(
                    format!("pod {name} is held by scheduling gates: {gates}"),
                    format!("Pod {name} 被调度门控:{gates}"),
                ))
                .at("spec.schedulingGates", message)
                .since(since),
        );
    }
    if field::text(scheduled, "status") != "False" {
        return None;
    }
    let field = "status.conditions[PodScheduled]";
    if reason == "SchedulerError" && matches!(seen.phase(), "Pending" | "") {
        return Some(
            PodHealth::blocked(seen, "SchedulerError")
                .message(
                    Text::new(
                        format!("pod {name} cannot be scheduled, the scheduler failed"),
                        format!("Pod {name} 无法调度,调度器出错"),
                    )
                    .quoting(&cut(message)),
                )
                .at(field, message)
                .since(since),
        );
    }
    let is_settled = seen.born().is_none_or(|born| {
        seen.env
            .clock
            .past(born, seen.env.config.scheduling_grace_seconds)
    });
    if !is_settled {
        return Some(scheduling(seen).at(field, message));
    }
    let detail = unschedulable::explain(message, seen.pod, seen.env.nodes.all());
    Some(
        PodHealth::blocked(seen, "Unschedulable")
            .message(
                Text::new(
                    format!("pod {name} cannot be scheduled"),
                    format!("Pod {name} 无法调度"),
                )
                .saying(&detail),
            )
            .at(field, message)
            .since(since),
    )
}

/// P6d and P6e: nobody has looked at the pod.
fn unpicked<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let is_silent = field::at(seen.pod, "status")
        .is_none_or(|status| status.as_object().is_none_or(serde_json::Map::is_empty));
    let is_untouched = field::text(seen.pod, "spec.nodeName").is_empty()
        && field::list(seen.pod, "status.containerStatuses").is_empty()
        && field::list(seen.pod, "status.initContainerStatuses").is_empty();
    if !is_untouched && !is_silent {
        return None;
    }
    // A pod that a phase of its own making has taken past Pending has been picked up by somebody.
    if !matches!(seen.phase(), "" | "Pending") {
        return None;
    }
    let grace = seen.env.config.unpicked_grace_seconds;
    if is_untouched && seen.env.clock.known_past(seen.born(), grace) {
        let name = field::name(seen.pod);
        let scheduler =
            field::some_text(seen.pod, "spec.schedulerName").unwrap_or("default-scheduler");
        return Some(
            PodHealth::blocked(seen, "NotScheduled")
                .message(Text::new(
                    format!("pod {name} is not being scheduled: scheduler {scheduler} has not picked it up"),
                    format!("Pod {name} 未被调度:调度器 {scheduler} 未处理它"),
                ))
                .at("spec.schedulerName", scheduler)
                .since(seen.born()),
        );
    }
    if is_silent {
        let name = field::name(seen.pod);
        return Some(PodHealth::starting(seen, "NotObserved").message(Text::new(
            format!("pod {name} has no status yet"),
            format!("Pod {name} 尚无状态"),
        )));
    }
    Some(scheduling(seen))
}

fn scheduling<'a>(seen: &Seen<'_, '_, 'a>) -> PodHealth<'a> {
    let name = field::name(seen.pod);
    PodHealth::starting(seen, "Scheduling")
        .message(Text::new(
            format!("pod {name} is being scheduled"),
            format!("Pod {name} 调度中"),
        ))
        .since(seen.born())
}

fn gates(pod: &Value) -> String {
    let names: Vec<_> = field::list(pod, "spec.schedulingGates")
        .iter()
        .map(|gate| field::text(gate, "name"))
        .collect();
    cut(&names.join(", "))
}
