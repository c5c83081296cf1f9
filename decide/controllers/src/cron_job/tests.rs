//! What cron jobs start, skip and remember.

use super::*;
use crate::testing::{World, events, events_when_done, time};

fn cron_job(edit: impl FnOnce(&mut Object)) -> Object {
    let mut cron_job = json!({
        "metadata": { "name": "tick", "namespace": "default", "uid": "uid-c", "creationTimestamp": time(0).to_string() },
        "spec": {
            "schedule": "* * * * *", "concurrencyPolicy": "Allow",
            "jobTemplate": { "metadata": { "labels": { "a": "b" } }, "spec": { "template": {} } },
        },
    });
    edit(&mut cron_job);
    cron_job
}

fn key() -> Key {
    Key::new("default", "tick")
}

fn story(world: &mut World, at: i64) -> Vec<String> {
    world
        .settle::<CronJob>(&key(), time(at))
        .iter()
        .flat_map(events_when_done)
        .collect()
}

fn end(world: &mut World, how: &str) {
    for job in world.list(&JOBS, "default") {
        let mut job = Object::clone(&job);
        job.set(&["status"], json!({ "conditions": [{ "type": how, "status": "True" }], "completionTime": time(70).to_string() }));
        world.put(&JOBS, job);
    }
}

#[test]
fn a_job_is_started_at_each_time() {
    let mut world = World::new([(CRON_JOBS, cron_job(|_| {}))]);
    let seen = CronJob::observe(&world, &key()).unwrap();
    assert_eq!(CronJob::decide(&seen, time(10)).wake_at, Some(time(60)));
    let name = format!("tick-{}", time(60).as_second() / 60);
    assert_eq!(
        story(&mut world, 61),
        [format!("SuccessfulCreate: Created job {name}")]
    );
    let job = world.get(&JOBS, &Key::new("default", &name)).unwrap();
    assert_eq!(job.label("a"), Some("b"));
    assert_eq!(job.annotation(SCHEDULED_AT), Some(&*time(60).to_string()));
    let status = world.get(&CRON_JOBS, &key()).unwrap()["status"].clone();
    assert_eq!(status["active"][0]["name"], name);
    assert_eq!(status["lastScheduleTime"], time(60).to_string());
    assert!(story(&mut world, 62).is_empty());
}

#[test]
fn an_ended_job_leaves_the_list_and_the_history_is_bounded() {
    let mut world = World::new([(
        CRON_JOBS,
        cron_job(|c| c.set(&["spec", "successfulJobsHistoryLimit"], 0.into())),
    )]);
    story(&mut world, 61);
    end(&mut world, "Complete");
    let name = format!("tick-{}", time(60).as_second() / 60);
    assert_eq!(
        story(&mut world, 70),
        [
            format!("SawCompletedJob: Saw completed job: {name}, condition: Complete"),
            format!("SuccessfulDelete: Deleted job {name}"),
        ]
    );
    let status = world.get(&CRON_JOBS, &key()).unwrap()["status"].clone();
    assert_eq!(status.get("active"), None);
    assert_eq!(status["lastSuccessfulTime"], time(70).to_string());
}

#[test]
fn concurrency_is_forbidden_or_replaced() {
    let with = |policy: &str| {
        World::new([(
            CRON_JOBS,
            cron_job(|c| c.set(&["spec", "concurrencyPolicy"], policy.into())),
        )])
    };
    let mut forbidden = with("Forbid");
    story(&mut forbidden, 61);
    let seen = CronJob::observe(&forbidden, &key()).unwrap();
    let decision = CronJob::decide(&seen, time(121));
    assert!(events(&decision)[0].starts_with("JobAlreadyActive"));
    let mut replaced = with("Replace");
    story(&mut replaced, 61);
    story(&mut replaced, 121);
    assert_eq!(replaced.list(&JOBS, "default").len(), 1);
}

#[test]
fn a_suspended_one_does_nothing_and_odd_ones_say_so() {
    let mut world = World::new([(
        CRON_JOBS,
        cron_job(|c| c.set(&["spec", "suspend"], true.into())),
    )]);
    assert!(story(&mut world, 600).is_empty());
    let odd = |path: &[&str], value: &str| {
        let world = World::new([(CRON_JOBS, cron_job(|c| c.set(path, value.into())))]);
        let seen = CronJob::observe(&world, &key()).unwrap();
        events(&CronJob::decide(&seen, time(61))).concat()
    };
    assert!(odd(&["spec", "schedule"], "x").starts_with("UnparseableSchedule"));
    assert!(odd(&["spec", "timeZone"], "Mars/Base").starts_with("UnknownTimeZone"));
}

#[test]
fn many_missed_times_start_one_job_and_are_said() {
    let mut world = World::new([(CRON_JOBS, cron_job(|_| {}))]);
    let story = story(&mut world, 60 * 200 + 1);
    assert!(story[0].starts_with("TooManyMissedTimes"), "{story:?}");
    assert_eq!(world.list(&JOBS, "default").len(), 1);
}

#[test]
fn a_time_too_long_ago_is_missed() {
    let late = cron_job(|c| {
        c.set(&["spec", "schedule"], "0 * * * *".into());
        c.set(&["spec", "startingDeadlineSeconds"], 10.into());
    });
    let mut world = World::new([(CRON_JOBS, late)]);
    story(&mut world, 3600 + 300);
    assert!(world.list(&JOBS, "default").is_empty());
}

#[test]
fn what_has_ended_is_told_though_the_next_job_is_refused() {
    let mut world = World::new([(CRON_JOBS, cron_job(|_| {}))]);
    story(&mut world, 61);
    end(&mut world, "Complete");
    let seen = CronJob::observe(&world, &key()).unwrap();
    let now = time(121);
    let decided = CronJob::decide(&seen, now);
    let is_create = |action: &Action| matches!(action, Action::Create { .. });
    let index = decided.actions.iter().position(is_create).unwrap();
    let Action::Create {
        report: Some(report),
        ..
    } = &decided.actions[index]
    else {
        panic!("{decided:?}");
    };
    let refused = report.failed("exceeded quota");
    assert_eq!(refused.reason, "FailedCreate");
    assert_eq!(refused.message, "Error creating job: exceeded quota");
    let failure = Failure {
        index,
        code: 403,
        reason: "Forbidden".into(),
        message: "exceeded quota".into(),
    };
    let told = CronJob::failed(&seen, &failure, now).unwrap();
    assert!(told.actions.is_empty());
    let status = told.status.unwrap().status;
    assert_eq!(status.get("active"), None);
    assert_eq!(status["lastSuccessfulTime"], time(70).to_string());
    assert_eq!(status["lastScheduleTime"], time(60).to_string());
}
