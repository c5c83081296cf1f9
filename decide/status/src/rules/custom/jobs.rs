//! X4: resources shaped like a Job or a CronJob.

use serde_json::Value;

use super::super::cronjob::stopped;
use super::phase_of;
use crate::field;
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive};
use crate::verdict::{Counts, Severity, Status};

/// Whether a resource counts like a Job.
pub(super) fn is_job_shaped(subject: &Value) -> bool {
    field::int(subject, "status.desired").is_some()
        && field::int(subject, "status.succeeded").is_some()
}

/// A resource that runs to completion.
pub(super) fn job_shaped(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    if !is_job_shaped(subject) {
        return None;
    }
    let phase = phase_of(subject)
        .map(|(_, phase)| phase)
        .unwrap_or_default();
    let counts = Counts {
        desired: field::int(subject, "status.desired"),
        current: field::int(subject, "status.active"),
        available: field::int(subject, "status.succeeded"),
        ..Counts::default()
    };
    let draft = if phase == "failed" || field::is_true(subject, "Failed") {
        let raw = field::condition(subject, "Failed")
            .map_or("", |condition| field::text(condition, "message"));
        let text = Text::new("Job failed", "任务失败").quoting(&decisive(raw));
        Draft::new(Status::Exception, Severity::Error, "JobFailed", text).own_cause(
            subject,
            "status.conditions[Failed]",
            raw,
        )
    } else if phase == "paused" || field::is_set(subject, "spec.paused") {
        Draft::waiting("Suspended", "Suspended", "已挂起")
    } else if phase == "completed" || field::is_true(subject, "Complete") {
        Draft::new(
            Status::ExecutionComplete,
            Severity::Ok,
            "Completed",
            Text::new("Completed", "已完成"),
        )
        .since(field::time(subject, "status.completionTime"))
    } else {
        let (done, all) = (
            field::count(subject, "status.succeeded"),
            field::count(subject, "status.desired"),
        );
        Draft::new(
            Status::Executing,
            Severity::Info,
            "Active",
            Text::new(
                format!("Executing: {done} of {all} succeeded"),
                format!("执行中:已成功 {done}/{all}"),
            ),
        )
        .since(field::time(subject, "status.startTime"))
    };
    Some(draft.counts(counts))
}

/// A resource with a schedule.
pub(super) fn cron_shaped(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    field::some_text(subject, "spec.schedule")?;
    let active = i64::try_from(field::list(subject, "status.active").len()).unwrap_or(i64::MAX);
    if field::is_set(subject, "spec.suspend") || field::is_set(subject, "spec.paused") {
        return Some(stopped(active));
    }
    let started = |severity, reason: &str, en: &str, zh: &str| {
        Some(Draft::new(
            Status::Started,
            severity,
            reason,
            Text::new(en, zh),
        ))
    };
    if active > 0 {
        return started(Severity::Ok, "Active", "A run is under way", "正在执行");
    }
    let Some(last) = field::time(subject, "status.lastScheduleTime") else {
        return started(
            Severity::Ok,
            "NotYetScheduled",
            "No run was due yet",
            "尚未到首次运行时间",
        );
    };
    match field::time(subject, "status.lastSuccessfulTime") {
        Some(success) if success < last => started(
            Severity::Warning,
            "LastRunFailed",
            "The last run did not succeed",
            "上次运行未成功",
        )
        .map(|draft| draft.own_cause(subject, "status.lastSuccessfulTime", "")),
        Some(_) => started(
            Severity::Ok,
            "LastRunSucceeded",
            "The last run succeeded",
            "上次运行成功",
        ),
        None => started(
            Severity::Ok,
            "Scheduled",
            "Runs are started on schedule",
            "按计划触发运行",
        ),
    }
}
