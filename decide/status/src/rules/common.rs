//! Rules C1, C2 and D3, which come first for every kind.

use serde_json::Value;

use crate::field;
use crate::pod::health::finalizers;
use crate::scene::{Draft, Scene};
use crate::text::{Text, cut};
use crate::verdict::{Severity, Status};

/// C1: deletion was requested.
pub(crate) fn deletion(scene: &Scene<'_, '_>) -> Option<Draft> {
    let field = "metadata.deletionTimestamp";
    let raw = field::some_text(scene.subject, field)?;
    let requested = raw.parse().ok();
    let grace = scene.config.deleting_stuck_seconds;
    let names = finalizers(scene.subject);
    let draft = if !scene.clock.known_past(requested, grace) {
        Draft::new(
            Status::Deleting,
            Severity::Info,
            "Terminating",
            Text::new("Deletion is under way", "正在删除"),
        )
    } else if names.is_empty() {
        Draft::new(
            Status::Deleting,
            Severity::Warning,
            "DeletionStuck",
            Text::new(
                format!("Deletion was requested at {raw} and has not finished"),
                format!("已于 {raw} 请求删除,尚未完成"),
            ),
        )
        .own_cause(scene.subject, field, raw)
    } else {
        Draft::new(
            Status::Deleting,
            Severity::Warning,
            "FinalizersPending",
            Text::new(
                format!("Deletion was requested at {raw} and waits for finalizers: {names}"),
                format!("已于 {raw} 请求删除,等待终结器:{names}"),
            ),
        )
        .own_cause(scene.subject, "metadata.finalizers", &names)
    };
    let troubles = scene.troubles(|_| true);
    let draft = if draft.severity > Severity::Info {
        draft.groups(&troubles)
    } else {
        draft
    };
    Some(draft.since(requested))
}

/// Whether an object has a status with anything in it.
pub(crate) fn has_status(subject: &Value) -> bool {
    field::at(subject, "status").is_some()
}

/// C2: the controller has not seen the newest spec.
pub(crate) fn unobserved(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    let is_behind = match field::int(subject, "metadata.generation") {
        Some(generation) => {
            field::int(subject, "status.observedGeneration").unwrap_or(0) < generation
        }
        None => false,
    };
    if has_status(subject) && !is_behind {
        return None;
    }
    Some(not_observed(scene))
}

/// C2a when it lasts too long, else C2b.
pub(crate) fn not_observed(scene: &Scene<'_, '_>) -> Draft {
    let changed = field::spec_changed(scene.subject);
    if scene
        .clock
        .known_past(changed, scene.config.observed_grace_seconds)
    {
        let generation = field::count(scene.subject, "metadata.generation");
        let observed = field::count(scene.subject, "status.observedGeneration");
        return Draft::new(
            Status::Exception,
            Severity::Error,
            "ControllerNotResponding",
            Text::new(
                format!("The controller has not processed generation {generation} (last seen: {observed}); the numbers shown are stale"),
                format!("控制器尚未处理第 {generation} 代配置(最近处理:{observed});当前数据已过期"),
            ),
        )
        .own_cause(scene.subject, "status.observedGeneration", "")
        .since(changed);
    }
    Draft::waiting(
        "NotObserved",
        "The controller has not processed the latest spec yet",
        "控制器尚未处理最新配置",
    )
    .since(changed)
}

/// D3 for the subject: what is known of it is out of date, and no rule may pass it off as fresh. A
/// `CronJob` has no Exception.
pub(crate) fn outdated(scene: &Scene<'_, '_>) -> Option<Draft> {
    let error = scene.related.subject_error.as_deref()?;
    let status = match field::text(scene.subject, "kind") {
        "CronJob" => Status::Waiting,
        _ => Status::Exception,
    };
    let message = Text::new(
        "It can be read no longer, what was known is out of date",
        "已无法读取,此前的信息已过期",
    );
    Some(
        Draft::new(
            status,
            Severity::Error,
            "StatusUnavailable",
            message.quoting(&cut(error)),
        )
        .own_cause(scene.subject, "", error),
    )
}

/// D3: reading pods failed.
pub(crate) fn unreadable(scene: &Scene<'_, '_>) -> Option<Draft> {
    let error = scene.related.pods_error.as_deref()?;
    Some(
        Draft::new(
            Status::Exception,
            Severity::Error,
            "StatusUnavailable",
            Text::new("The pods cannot be read", "无法读取 Pod").quoting(&cut(error)),
        )
        .own_cause(scene.subject, "pods", error),
    )
}

/// Whether the object has waited since `spec_changed` for less than the start grace.
pub(crate) fn changed_recently(scene: &Scene<'_, '_>, grace_seconds: i64) -> bool {
    field::spec_changed(scene.subject).is_some_and(|at| !scene.clock.past(at, grace_seconds))
}
