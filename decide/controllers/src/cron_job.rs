//! Cron jobs: a job at each scheduled time, and a bounded history of those that ended.
//!
//! Source: `pkg/controller/cronjob`.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, Event, Propagation, Reference, Report, controller_reference};
use crate::claim;
use crate::condition;
use crate::controller::{Controller, Decision, Failure, Status};
use crate::pod;
use crate::resources::{CRON_JOBS, JOBS};
use crate::snapshot::Snapshot;

pub mod schedule;
#[cfg(test)]
mod tests;

use schedule::Schedule;

/// Missed times after which a person should look. Source: `utils.go`, `mostRecentScheduleTime`.
const MISSED_MAX: usize = 100;
const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The cron job controller.
#[derive(Debug)]
pub struct CronJob;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The cron job.
    pub cron_job: Arc<Object>,
    /// Its jobs.
    pub jobs: Vec<Arc<Object>>,
    /// The zone its schedule is read in; an unknown one is said by name.
    pub zone: Result<TimeZone, String>,
}

impl Controller for CronJob {
    type Observed = Observed;
    const NAME: &'static str = "cronjob-controller";
    const SUBJECT: Resource = CRON_JOBS;
    const WATCHES: &'static [Resource] = &[CRON_JOBS, JOBS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        match object.controller() {
            _ if *resource == CRON_JOBS => vec![object.key()],
            Some(_) => claim::concerned_owners(snapshot, &CRON_JOBS, object),
            None => Vec::new(),
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let cron_job = snapshot.get(&CRON_JOBS, key)?;
        let zone = match cron_job.str_at(&["spec", "timeZone"]) {
            // The zone database is a constant of the machine.
            Some(name) => TimeZone::get(name).map_err(|_| name.to_owned()),
            None => Ok(TimeZone::UTC),
        };
        let jobs = snapshot.controlled_by(&JOBS, cron_job.uid());
        Some(Observed {
            cron_job,
            jobs,
            zone,
        })
    }

    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let mut status = follow(seen, &mut decision);
        trim(seen, &mut decision);
        if seen.cron_job.deletion_timestamp().is_none()
            && seen.cron_job.bool_at(&["spec", "suspend"]) != Some(true)
        {
            start(seen, &mut status, &mut decision, now);
        }
        decision.status = Some(written(seen, status));
        decision
    }

    /// What has ended is told, but not that a job was started. Source: `sync`.
    fn failed(seen: &Observed, _failure: &Failure, _now: Timestamp) -> Option<Decision> {
        let status = follow(seen, &mut Decision::default());
        Some(Decision {
            status: Some(written(seen, status)),
            ..Decision::default()
        })
    }
}

fn written(seen: &Observed, status: Value) -> Status {
    Status {
        resource: CRON_JOBS,
        seen: Arc::clone(&seen.cron_job),
        status,
    }
}

fn say(seen: &Observed, is_warning: bool, reason: &'static str, message: String) -> Action {
    let event = Event::normal(Reference::new(&CRON_JOBS, &seen.cron_job), reason, message);
    Action::Event(Event {
        is_warning,
        ..event
    })
}

/// How a job ended; `None` while it runs.
fn ended(job: &Object) -> Option<&'static str> {
    let status = job.get("status")?;
    ["Complete", "Failed"]
        .into_iter()
        .find(|kind| condition::is_true(status, kind))
}

/// The status with the jobs that are active now, and the time of the last success.
fn follow(seen: &Observed, decision: &mut Decision) -> Value {
    let status = seen.cron_job.get("status").cloned();
    let mut status = status.unwrap_or_else(|| json!({}));
    let known = status.list_at(&["active"]).to_vec();
    let mut active = Vec::new();
    for reference in known {
        let uid = reference.str_at(&["uid"]);
        let Some(job) = seen.jobs.iter().find(|job| Some(job.uid()) == uid) else {
            let name = reference.str_at(&["name"]).unwrap_or_default();
            let message = format!("Active job went missing: {name}");
            decision
                .actions
                .push(say(seen, false, "MissingJob", message));
            continue;
        };
        match ended(job) {
            None => active.push(reference),
            Some(how) => {
                let message = format!("Saw completed job: {}, condition: {how}", job.name());
                decision
                    .actions
                    .push(say(seen, false, "SawCompletedJob", message));
            }
        }
    }
    for job in seen.jobs.iter().filter(|job| ended(job).is_none()) {
        if active
            .iter()
            .all(|known| known.str_at(&["uid"]) != Some(job.uid()))
        {
            active.push(reference(job));
        }
    }
    set_active(&mut status, active);
    let success = seen
        .jobs
        .iter()
        .filter(|job| ended(job) == Some("Complete"));
    let success = success
        .filter_map(|job| job.str_at(&["status", "completionTime"]))
        .max();
    if let Some(time) = success
        && status
            .str_at(&["lastSuccessfulTime"])
            .is_none_or(|known| known < time)
    {
        status.set(&["lastSuccessfulTime"], time.into());
    }
    status
}

fn set_active(status: &mut Value, active: Vec<Value>) {
    if active.is_empty() {
        status.remove(&["active"]);
    } else {
        status.set(&["active"], Value::Array(active));
    }
}

fn reference(job: &Object) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "namespace": job.namespace(), "name": job.name(),
        "uid": job.uid(), "resourceVersion": job.resource_version(),
    })
}

/// Source: `deleteJob`.
fn remove(seen: &Observed, job: &Object) -> Action {
    Action::Delete {
        resource: JOBS,
        key: job.key(),
        uid: job.uid().to_owned(),
        resource_version: None,
        grace_seconds: None,
        propagation: Some(Propagation::Background),
        report: Some(Report {
            regarding: Reference::new(&CRON_JOBS, &seen.cron_job),
            done: ("SuccessfulDelete", format!("Deleted job {}", job.name())),
            failed: ("FailedDelete", "Deleted job: {}".to_owned()),
        }),
    }
}

/// Deletes the oldest ended jobs beyond the history limits.
fn trim(seen: &Observed, decision: &mut Decision) {
    let limits = [
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ];
    for (how, field, default) in limits {
        let limit = seen.cron_job.int_at(&["spec", field]).unwrap_or(default);
        let limit = usize::try_from(limit).unwrap_or_default();
        let mut jobs: Vec<_> = seen
            .jobs
            .iter()
            .filter(|job| ended(job) == Some(how))
            .collect();
        jobs.sort_by_key(|job| {
            let started = job
                .str_at(&["status", "startTime"])
                .unwrap_or_default()
                .to_owned();
            (started, job.name().to_owned())
        });
        let surplus = jobs.len().saturating_sub(limit);
        for job in jobs.into_iter().take(surplus) {
            decision.actions.push(remove(seen, job));
        }
    }
}

/// The schedule, or the event that says why there is none.
fn schedule_of(seen: &Observed) -> Result<Schedule<'_>, Box<Action>> {
    let quote = meta::field::quote;
    let zone = seen.zone.as_ref().map_err(|name| {
        let message = format!(
            "invalid timeZone: {}: unknown time zone {name}",
            quote(name)
        );
        Box::new(say(seen, true, "UnknownTimeZone", message))
    })?;
    let text = seen
        .cron_job
        .str_at(&["spec", "schedule"])
        .unwrap_or_default();
    Schedule::parse(text, zone).map_err(|why| {
        let message = format!("unparseable schedule: {}: {why}", quote(text));
        Box::new(say(seen, true, "UnparseableSchedule", message))
    })
}

/// Starts a job when a scheduled time has come, and asks to be woken at the next.
fn start(seen: &Observed, status: &mut Value, decision: &mut Decision, now: Timestamp) {
    let schedule = match schedule_of(seen) {
        Ok(schedule) => schedule,
        Err(complaint) => {
            decision.actions.push(*complaint);
            return;
        }
    };
    if let Some(next) = schedule.next(now) {
        decision.wake(next);
    }
    let (due, missed) = most_recent(seen, status, &schedule, now);
    if missed > MISSED_MAX {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        decision
            .actions
            .push(say(seen, true, "TooManyMissedTimes", message.to_owned()));
    }
    let Some(due) = due else {
        return;
    };
    if let Some(seconds) = seen.cron_job.int_at(&["spec", "startingDeadlineSeconds"])
        && now.duration_since(due).as_secs() > seconds
    {
        let message = format!("Missed scheduled time to start a job: {due}");
        decision
            .actions
            .push(say(seen, true, "MissSchedule", message));
        return;
    }
    if !makes_way(seen, decision) {
        return;
    }
    status.set(&["lastScheduleTime"], meta::time::to_rfc3339(due).into());
    let job = job(&seen.cron_job, due);
    // A job of this name was started for the same time before, and only the status is behind.
    if seen.jobs.iter().all(|known| known.name() != job.name()) {
        decision.actions.push(Action::Create {
            resource: JOBS,
            object: job,
            report: Some(Report {
                regarding: Reference::new(&CRON_JOBS, &seen.cron_job),
                done: ("SuccessfulCreate", "Created job {}".to_owned()),
                failed: ("FailedCreate", "Error creating job: {}".to_owned()),
            }),
        });
    }
}

/// Whether a new job may start beside those that run, or instead of them.
fn makes_way(seen: &Observed, decision: &mut Decision) -> bool {
    let running: Vec<_> = seen
        .jobs
        .iter()
        .filter(|job| ended(job).is_none())
        .collect();
    match seen.cron_job.str_at(&["spec", "concurrencyPolicy"]) {
        Some("Forbid") if !running.is_empty() => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            decision
                .actions
                .push(say(seen, false, "JobAlreadyActive", message.to_owned()));
            return false;
        }
        Some("Replace") => {
            for job in running {
                decision.actions.push(remove(seen, job));
            }
        }
        _ => {}
    }
    true
}

/// The latest scheduled time that no job was started for, and how many there were.
fn most_recent(
    seen: &Observed,
    status: &Value,
    schedule: &Schedule<'_>,
    now: Timestamp,
) -> (Option<Timestamp>, usize) {
    let last = status
        .str_at(&["lastScheduleTime"])
        .and_then(meta::time::from_rfc3339);
    let mut from = last
        .or_else(|| pod::created_at(&seen.cron_job))
        .unwrap_or(now);
    if let Some(seconds) = seen.cron_job.int_at(&["spec", "startingDeadlineSeconds"])
        && let Ok(earliest) = now.checked_sub(SignedDuration::from_secs(seconds))
    {
        from = from.max(earliest);
    }
    let (mut due, mut missed) = (None, 0);
    while let Some(next) = schedule.next(from).filter(|next| *next <= now) {
        missed += 1;
        due = Some(next);
        from = next;
        if missed > MISSED_MAX {
            return (schedule.last_before(now).max(due), missed);
        }
    }
    (due, missed)
}

fn job(cron_job: &Object, due: Timestamp) -> Object {
    let template = cron_job.at(&["spec", "jobTemplate"]);
    let of = |path: &[&str]| template.and_then(|template| template.at(path)).cloned();
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": format!("{}-{}", cron_job.name(), due.as_second() / 60),
            "namespace": cron_job.namespace(),
            "ownerReferences": [controller_reference(&CRON_JOBS, cron_job)],
        },
        "spec": of(&["spec"]).unwrap_or_else(|| json!({})),
    });
    for field in ["labels", "annotations"] {
        if let Some(value) = of(&["metadata", field]) {
            job.set(&["metadata", field], value);
        }
    }
    job.set(
        &["metadata", "annotations", SCHEDULED_AT],
        meta::time::to_rfc3339(due).into(),
    );
    job
}
