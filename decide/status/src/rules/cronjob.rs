//! `CronJobs`: rules CJ1 to CJ11.
//!
//! Beyond the specification, CJ7 looks at the running Jobs when they are known: a run that is itself
//! in trouble (an image that cannot be pulled) is told, as a severity, while the schedule stays
//! Started.

use jiff::Timestamp;
use serde_json::Value;

use super::{common, job};
use crate::creation;
use crate::cron::{Fault, Schedule};
use crate::field;
use crate::related::Related;
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive};
use crate::verdict::{Counts, Severity, Status};

/// Kubernetes' default for `spec.failedJobsHistoryLimit`.
const FAILED_HISTORY_DEFAULT: i64 = 1;

/// Warnings that mean that the controller cannot read the schedule.
const SCHEDULE_EVENTS: [&str; 4] = [
    "UnparseableSchedule",
    "UnParseableCronJobSchedule",
    "InvalidSchedule",
    "UnknownTimeZone",
];

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let cron = Cron::of(scene);
    let draft = common::deletion(scene)
        .or_else(|| suspended(&cron))
        .or_else(|| unreadable_schedule(&cron))
        .or_else(|| being_created(&cron))
        .or_else(|| creation_failed(&cron))
        .or_else(|| active_in_trouble(&cron))
        .or_else(|| last_job(&cron))
        .or_else(|| active(&cron))
        .or_else(|| first_run(&cron))
        .or_else(|| last_success(&cron))
        .or_else(|| missed(&cron))
        .unwrap_or_else(|| {
            started(
                Severity::Ok,
                "LastRunSucceeded",
                Text::new("The last run succeeded", "上次运行成功"),
            )
        });
    draft.counts(Counts {
        current: Some(cron.active_count()),
        ..Counts::default()
    })
}

struct Cron<'f, 's, 'a> {
    scene: &'f Scene<'s, 'a>,
    subject: &'a Value,
    last: Option<Timestamp>,
    schedule: Option<Result<Schedule, Fault>>,
}

impl<'f, 's, 'a> Cron<'f, 's, 'a> {
    fn of(scene: &'f Scene<'s, 'a>) -> Self {
        let subject = scene.subject;
        let schedule = field::at(subject, "spec.schedule")
            .and_then(Value::as_str)
            .map(|schedule| Schedule::parse(schedule, field::some_text(subject, "spec.timeZone")));
        Self {
            scene,
            subject,
            last: field::time(subject, "status.lastScheduleTime"),
            schedule,
        }
    }

    fn active_count(&self) -> i64 {
        i64::try_from(field::list(self.subject, "status.active").len()).unwrap_or(i64::MAX)
    }

    fn created(&self) -> Option<Timestamp> {
        field::time(self.subject, "metadata.creationTimestamp")
    }

    /// The moment by which, after a base, a run has certainly been missed: the second due time.
    fn missed_at(&self, base: Timestamp) -> Option<Timestamp> {
        let schedule = self.schedule.as_ref()?.as_ref().ok()?;
        schedule.next_after(schedule.next_after(base)?)
    }

    fn is_missed(&self) -> bool {
        // A schedule that was just written or resumed has not missed what was due before, and what
        // was due while the last run was busy may have been skipped on purpose.
        let base = self
            .last
            .max(field::time(self.subject, "status.lastSuccessfulTime"))
            .max(field::spec_changed(self.subject));
        base.and_then(|base| self.missed_at(base))
            .is_some_and(|due| self.scene.clock.past(due, 0))
    }
}

fn started(severity: Severity, reason: &str, message: Text) -> Draft {
    Draft::new(Status::Started, severity, reason, message)
}

/// CJ2: held by the user.
fn suspended(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    if !field::is_set(cron.subject, "spec.suspend") {
        return None;
    }
    Some(stopped(cron.active_count()))
}

/// Stopped, with the number of Jobs that still run.
pub(crate) fn stopped(active: i64) -> Draft {
    let mut message = Text::new("Suspended: nothing is started", "已挂起:不会触发运行");
    if active > 0 {
        message = message.with(
            &format!("; {active} job(s) still executing"),
            &format!(";仍有 {active} 个任务执行中"),
        );
    }
    Draft::new(Status::Stopped, Severity::Info, "Suspended", message)
}

/// CJ3: nothing will ever run. An event from before the last change of the spec no longer counts
/// when we can read the schedule ourselves.
fn unreadable_schedule(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    let event = cron.scene.events.warning(cron.subject, &SCHEDULE_EVENTS);
    let fault = if let Some(Err(fault)) = &cron.schedule {
        fault.clone()
    } else {
        let event = event.filter(|event| event.at >= field::spec_changed(cron.subject))?;
        if event.reason == "UnknownTimeZone" {
            Fault::TimeZone
        } else {
            Fault::Schedule
        }
    };
    let schedule = decisive(field::text(cron.subject, "spec.schedule"));
    let zone = decisive(field::text(cron.subject, "spec.timeZone"));
    let (reason, path, message) = match fault {
        Fault::Schedule => (
            "InvalidSchedule",
            "spec.schedule",
            Text::new(
                format!("Nothing will run: schedule \"{schedule}\" cannot be parsed"),
                format!("不会运行:无法解析定时表达式 \"{schedule}\""),
            ),
        ),
        Fault::TimeZone => (
            "UnknownTimeZone",
            "spec.timeZone",
            Text::new(
                format!("Nothing will run: time zone \"{zone}\" is unknown"),
                format!("不会运行:未知时区 \"{zone}\""),
            ),
        ),
    };
    let raw = event.map_or("", |event| event.message);
    Some(
        Draft::new(
            Status::Waiting,
            Severity::Error,
            reason,
            message.quoting(&decisive(raw)),
        )
        .own_cause(cron.subject, path, raw),
    )
}

/// CJ4: too new to say.
fn being_created(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    if cron.last.is_some() || cron.active_count() > 0 {
        return None;
    }
    let grace = cron.scene.config.cron_create_grace_seconds;
    let is_young = cron
        .created()
        .is_some_and(|created| !cron.scene.clock.past(created, grace));
    (!common::has_status(cron.subject) || is_young).then(|| {
        Draft::waiting(
            "NotObserved",
            "The controller has not processed this schedule yet",
            "控制器尚未处理该定时任务",
        )
    })
}

/// CJ5: runs cannot be started.
fn creation_failed(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    let reasons = ["FailedCreate", "TooManyMissedTimes"];
    let event = cron
        .scene
        .events
        .warning(cron.subject, &reasons)
        .filter(|event| event.at > cron.last)?;
    let (reason, text) = if event.reason == "TooManyMissedTimes" {
        (
            "TooManyMissedTimes",
            Text::new(
                "Too many runs were missed, so none is started",
                "错过次数过多,不再触发运行",
            ),
        )
    } else {
        (
            creation::reason(event.message),
            Text::new(
                "The Job of the last run cannot be created",
                "无法创建本次运行的任务",
            ),
        )
    };
    Some(
        started(
            Severity::Error,
            reason,
            text.quoting(&decisive(event.message)),
        )
        .own_cause(
            cron.subject,
            &format!("events[{}]", event.reason),
            event.message,
        )
        .since(event.at),
    )
}

/// Whether a Job has ended, and how.
fn outcome(job: &Value) -> Option<bool> {
    if field::is_true(job, "Complete") {
        return Some(true);
    }
    field::is_true(job, "Failed").then_some(false)
}

fn finished_at(job: &Value) -> Option<Timestamp> {
    let ended = ["Complete", "Failed"]
        .iter()
        .filter_map(|kind| field::condition(job, kind))
        .filter_map(|condition| field::time(condition, "lastTransitionTime"))
        .max();
    ended
        .or_else(|| field::time(job, "status.completionTime"))
        .or_else(|| field::time(job, "status.startTime"))
}

/// Finished Jobs, oldest first.
fn finished<'a>(cron: &Cron<'_, '_, 'a>) -> Vec<&'a Value> {
    let mut jobs: Vec<_> = cron
        .scene
        .related
        .jobs
        .iter()
        .flatten()
        .copied()
        .filter(|job| outcome(job).is_some())
        .collect();
    jobs.sort_by_key(|job| (finished_at(job), field::name(job)));
    jobs
}

/// CJ6: the newest finished Job failed.
fn last_job(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    let jobs = finished(cron);
    let newest = jobs.last()?;
    if outcome(newest) != Some(false) {
        return None;
    }
    let in_a_row = jobs
        .iter()
        .rev()
        .take_while(|job| outcome(job) == Some(false))
        .count();
    let in_a_row = i64::try_from(in_a_row).unwrap_or(i64::MAX);
    let limit =
        field::int(cron.subject, "spec.failedJobsHistoryLimit").unwrap_or(FAILED_HISTORY_DEFAULT);
    // With a limit of 1 one failure is all that is kept, which says nothing about the runs before.
    let severity = if limit > 1 && in_a_row >= limit {
        Severity::Error
    } else {
        Severity::Warning
    };
    let name = field::name(newest);
    let raw =
        field::condition(newest, "Failed").map_or("", |failed| field::text(failed, "message"));
    let message = Text::new(
        format!("The last run failed: job {name}"),
        format!("上次运行失败:任务 {name}"),
    )
    .quoting(&decisive(raw));
    Some(
        started(severity, "LastRunFailed", message)
            .own_cause(newest, "status.conditions[Failed]", raw)
            .since(finished_at(newest)),
    )
}

/// CJ7, beyond the specification: a running Job is in trouble itself.
fn active_in_trouble(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    let scene = cron.scene;
    let pods = scene.related.pods.as_ref()?;
    let mut running: Vec<_> = scene
        .related
        .jobs
        .iter()
        .flatten()
        .copied()
        .filter(|job| outcome(job).is_none())
        .collect();
    running.sort_by_key(|job| field::name(job));
    running.into_iter().find_map(|subject| {
        let uid = field::uid(subject);
        let own = pods
            .iter()
            .copied()
            .filter(|pod| !uid.is_empty() && field::controller_uid(pod) == uid)
            .collect();
        let related = Related {
            pods: Some(own),
            ..Related::default()
        };
        let scene = Scene::new(
            subject,
            &related,
            scene.clock,
            scene.config,
            scene.nodes,
            scene.events,
        );
        let draft = job::apply(&scene);
        let name = field::name(subject);
        (draft.severity >= Severity::Warning && draft.status != Status::Deleting).then(|| Draft {
            status: Status::Started,
            message: Text::new(
                format!("The running job {name} is in trouble: {}", draft.message.en),
                format!("运行中的任务 {name} 异常:{}", draft.message.zh),
            ),
            ..draft
        })
    })
}

/// CJ7: runs now.
fn active(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    let active = cron.active_count();
    (active > 0).then(|| {
        started(
            Severity::Ok,
            "Active",
            Text::new(
                format!("{active} job(s) executing"),
                format!("{active} 个任务执行中"),
            ),
        )
        .since(cron.last)
    })
}

/// CJ8: never run so far; missed when it should have.
fn first_run(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    if cron.last.is_some() {
        return None;
    }
    if let Some(draft) = missed(cron) {
        return Some(draft);
    }
    let mut message = Text::new("No run was due yet", "尚未到首次运行时间");
    let base = field::spec_changed(cron.subject).max(cron.created());
    let next = base.and_then(|base| cron.schedule.as_ref()?.as_ref().ok()?.next_after(base));
    if let Some(next) = next {
        message = message.with(
            &format!("; the first is due at {next}"),
            &format!(";首次运行时间 {next}"),
        );
    }
    Some(started(Severity::Ok, "NotYetScheduled", message))
}

/// CJ9: no finished Job is known; the status tells whether the last run succeeded.
fn last_success(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    if !finished(cron).is_empty() {
        return None;
    }
    let last = cron.last?;
    match field::time(cron.subject, "status.lastSuccessfulTime") {
        None => Some(
            started(
                Severity::Warning,
                "NeverSucceeded",
                Text::new("No run is known to have succeeded", "尚无已知的成功运行"),
            )
            .own_cause(cron.subject, "status.lastSuccessfulTime", ""),
        ),
        Some(success) if success < last => Some(
            started(
                Severity::Warning,
                "LastRunFailed",
                Text::new(
                    format!("The run of {last} did not succeed; the last success was at {success}"),
                    format!("{last} 的运行未成功;最近一次成功于 {success}"),
                ),
            )
            .own_cause(cron.subject, "status.lastSuccessfulTime", ""),
        ),
        Some(_) => None,
    }
}

/// CJ10: two due times have passed and nothing was started.
fn missed(cron: &Cron<'_, '_, '_>) -> Option<Draft> {
    (cron.active_count() == 0 && cron.is_missed()).then(|| {
        started(
            Severity::Warning,
            "MissedSchedule",
            Text::new(
                "Two due times have passed and nothing was started",
                "已错过两次触发时间且无运行",
            ),
        )
        .own_cause(cron.subject, "status.lastScheduleTime", "")
    })
}
