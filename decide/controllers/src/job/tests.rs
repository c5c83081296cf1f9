//! Jobs played to their end: counts, limits, suspension.

use serde_json::json;

use super::*;
use crate::condition;
use crate::testing::{World, events, time};

fn job(edit: impl FnOnce(&mut Object)) -> Object {
    let mut job = json!({
        "metadata": { "name": "work", "namespace": "default", "uid": "uid-j" },
        "spec": {
            "parallelism": 2, "completions": 3, "backoffLimit": 1,
            "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "uid-j" } },
            "template": {
                "metadata": { "labels": { "batch.kubernetes.io/controller-uid": "uid-j" } },
                "spec": { "restartPolicy": "Never", "containers": [{ "name": "c" }] },
            },
        },
    });
    edit(&mut job);
    job
}

fn key() -> Key {
    Key::new("default", "work")
}

fn started(edit: impl FnOnce(&mut Object)) -> World {
    let mut world = World::new([(JOBS, job(edit))]);
    world.settle::<Job>(&key(), time(0));
    world
}

fn pods(world: &World) -> Vec<Arc<Object>> {
    world.list(&PODS, "default")
}

/// Ends the first pod that still runs.
fn end_one(world: &mut World, phase: &str, at: i64) {
    let pod = pods(world)
        .into_iter()
        .find(|pod| crate::pod::is_active(pod))
        .unwrap();
    let mut pod = Object::clone(&pod);
    pod.set(&["status", "phase"], phase.into());
    let ended = json!([{ "state": { "terminated": { "finishedAt": time(at).to_string() } } }]);
    pod.set(&["status", "containerStatuses"], ended);
    world.put(&PODS, pod);
}

fn status(world: &World, field: &str) -> serde_json::Value {
    let job = world.get(&JOBS, &key()).unwrap();
    job.at(&["status", field]).cloned().unwrap_or_default()
}

fn settle(world: &mut World, at: i64) -> Vec<String> {
    world
        .settle::<Job>(&key(), time(at))
        .iter()
        .flat_map(events)
        .collect()
}

#[test]
fn as_many_pods_run_as_may_and_each_is_counted_once() {
    let mut world = started(|_| {});
    assert_eq!(pods(&world).len(), 2);
    assert_eq!(status(&world, "active"), 2);
    end_one(&mut world, "Succeeded", 5);
    settle(&mut world, 10);
    assert_eq!(
        (status(&world, "succeeded"), status(&world, "active")),
        (1.into(), 2.into())
    );
    assert_eq!(status(&world, "uncountedTerminatedPods"), json!({}));
    end_one(&mut world, "Succeeded", 11);
    settle(&mut world, 12);
    assert_eq!(
        (status(&world, "succeeded"), status(&world, "active")),
        (2.into(), 1.into())
    );
    end_one(&mut world, "Succeeded", 13);
    assert_eq!(settle(&mut world, 14), ["Completed: Job completed"]);
    assert_eq!(status(&world, "succeeded"), 3);
    let job = world.get(&JOBS, &key()).unwrap();
    let kinds: Vec<&str> = job
        .list_at(&["status", "conditions"])
        .iter()
        .filter_map(|c| c.str_at(&["type"]))
        .collect();
    assert_eq!(kinds, ["SuccessCriteriaMet", "Complete"]);
    assert!(pods(&world).iter().all(|pod| !is_tracked(pod)));
}

#[test]
fn failures_wait_and_too_many_end_the_job() {
    let mut world = started(|job| job.set(&["spec", "parallelism"], 1.into()));
    end_one(&mut world, "Failed", 5);
    let rounds = world.settle::<Job>(&key(), time(6));
    assert_eq!(rounds.last().unwrap().wake_at, Some(time(15)));
    assert_eq!(status(&world, "failed"), 1);
    settle(&mut world, 15);
    assert_eq!(status(&world, "active"), 1);
    end_one(&mut world, "Failed", 20);
    let story = settle(&mut world, 21);
    assert_eq!(
        story,
        ["BackoffLimitExceeded: Job has reached the specified backoff limit"]
    );
    let job = world.get(&JOBS, &key()).unwrap();
    assert!(condition::is_true(job.get("status").unwrap(), "Failed"));
}

#[test]
fn a_deadline_ends_the_job_and_its_pods() {
    let mut world = started(|job| job.set(&["spec", "activeDeadlineSeconds"], 30.into()));
    let seen = Job::observe(&world, &key()).unwrap();
    assert_eq!(Job::decide(&seen, time(10)).wake_at, Some(time(30)));
    settle(&mut world, 30);
    assert!(pods(&world).is_empty());
    let job = world.get(&JOBS, &key()).unwrap();
    let failed = condition::find(job.get("status").unwrap(), "Failed").unwrap();
    assert_eq!(failed["reason"], "DeadlineExceeded");
}

#[test]
fn a_suspended_job_gives_its_pods_up_and_resumes() {
    let mut world = started(|_| {});
    let suspend = |world: &mut World, value: bool| {
        let mut job = Object::clone(&world.get(&JOBS, &key()).unwrap());
        job.set(&["spec", "suspend"], value.into());
        world.put(&JOBS, job);
    };
    suspend(&mut world, true);
    assert_eq!(settle(&mut world, 10), ["Suspended: Job suspended"]);
    assert!(pods(&world).is_empty() && status(&world, "startTime").is_null());
    suspend(&mut world, false);
    assert_eq!(settle(&mut world, 20), ["Resumed: Job resumed"]);
    assert_eq!(pods(&world).len(), 2);
}

#[test]
fn an_indexed_job_makes_one_pod_for_each_index() {
    let mut world = started(|job| job.set(&["spec", "completionMode"], "Indexed".into()));
    let first = pods(&world)[0].clone();
    assert_eq!(
        first.annotation("batch.kubernetes.io/job-completion-index"),
        Some("0")
    );
    assert_eq!(first.str_at(&["spec", "hostname"]), Some("work-0"));
    assert_eq!(
        first["spec"]["containers"][0]["env"][0]["name"],
        "JOB_COMPLETION_INDEX"
    );
    end_one(&mut world, "Succeeded", 5);
    settle(&mut world, 10);
    assert_eq!(status(&world, "completedIndexes"), "0");
    let indexes: Vec<Option<i64>> = pods(&world)
        .iter()
        .map(|pod| index_limit::index_of(&job(|_| {}), pod))
        .collect();
    assert!(indexes.contains(&Some(2)), "{indexes:?}");
}

#[test]
fn pods_of_a_job_that_is_gone_are_let_go() {
    let mut world = started(|_| {});
    world.remove(&JOBS, &key());
    settle(&mut world, 10);
    assert!(pods(&world).iter().all(|pod| !is_tracked(pod)));
}

#[test]
fn a_pod_that_is_given_up_is_let_go_and_an_adopted_one_is_held() {
    let mut world = started(|_| {});
    let released = pods(&world).swap_remove(0).name().to_owned();
    let relabel = |world: &mut World, labels: serde_json::Value| {
        let pod = world.get(&PODS, &Key::new("default", &released)).unwrap();
        let mut pod = Object::clone(&pod);
        pod.set(&["metadata", "labels"], labels);
        world.put(&PODS, pod);
        settle(world, 10);
        world.get(&PODS, &Key::new("default", &released)).unwrap()
    };
    let alone = relabel(&mut world, json!({}));
    assert!(alone.controller().is_none() && !is_tracked(&alone));
    // Room for it beside the one that took its place.
    let mut job = Object::clone(&world.get(&JOBS, &key()).unwrap());
    job.set(&["spec", "parallelism"], 3.into());
    world.put(&JOBS, job);
    let labels = json!({ "batch.kubernetes.io/controller-uid": "uid-j" });
    let adopted = relabel(&mut world, labels);
    assert!(adopted.controller().is_some() && is_tracked(&adopted));
}

#[test]
fn pods_that_outlive_their_job_are_let_go() {
    let mut world = started(|_| {});
    world.remove(&JOBS, &key());
    for pod in pods(&world) {
        let mut pod = Object::clone(&pod);
        pod.remove(&["metadata", "ownerReferences"]);
        let keys = Job::concerns(&world, &PODS, &pod);
        assert_eq!(keys, [orphans_of("default")]);
        world.put(&PODS, pod);
    }
    world.settle::<Job>(&orphans_of("default"), time(10));
    assert!(pods(&world).iter().all(|pod| !is_tracked(pod)));
}

#[test]
fn a_work_queue_ends_when_one_succeeded_and_none_runs() {
    let mut world = started(|job| {
        job.remove(&["spec", "completions"]);
    });
    end_one(&mut world, "Succeeded", 5);
    settle(&mut world, 6);
    assert_eq!(status(&world, "active"), 1);
    end_one(&mut world, "Succeeded", 7);
    assert_eq!(settle(&mut world, 8), ["Completed: Job completed"]);
}

/// A job with three indexes, each of which may fail once.
fn limited(edit: impl FnOnce(&mut Object)) -> World {
    started(|job| {
        for (field, value) in [("parallelism", 3), ("backoffLimitPerIndex", 1)] {
            job.set(&["spec", field], value.into());
        }
        job.set(&["spec", "backoffLimit"], i32::MAX.into());
        job.set(&["spec", "completionMode"], "Indexed".into());
        edit(job);
    })
}

/// Ends the pod of an index that still runs, with an exit code.
fn exit(world: &mut World, index: i64, code: i64, at: i64) {
    let is_it = |pod: &Arc<Object>| {
        crate::pod::is_active(pod) && index_limit::index_of(&job(|_| {}), pod) == Some(index)
    };
    let mut pod = Object::clone(&pods(world).into_iter().find(is_it).unwrap());
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    pod.set(&["status", "phase"], phase.into());
    let ended = json!({ "exitCode": code, "finishedAt": time(at).to_string() });
    let container = json!([{ "name": "c", "state": { "terminated": ended } }]);
    pod.set(&["status", "containerStatuses"], container);
    world.put(&PODS, pod);
}

fn counts(world: &World) -> [serde_json::Value; 4] {
    ["succeeded", "failed", "completedIndexes", "failedIndexes"].map(|field| status(world, field))
}

/// Types, reasons and messages of what the status says for good.
fn said(world: &World) -> Vec<String> {
    let job = world.get(&JOBS, &key()).unwrap();
    let text = |c: &serde_json::Value| ["type", "reason", "message"].map(|f| c[f].to_string());
    let conditions = job.list_at(&["status", "conditions"]);
    let line = |c| text(c).join(" ").replace('"', "");
    conditions.iter().map(line).collect()
}

#[test]
fn each_index_waits_and_fails_for_itself() {
    let mut world = limited(|_| {});
    assert_eq!(status(&world, "failedIndexes"), "");
    exit(&mut world, 1, 1, 5);
    let rounds = world.settle::<Job>(&key(), time(6));
    assert_eq!(rounds.last().unwrap().wake_at, Some(time(15)));
    // The pod stays until its successor has its count.
    assert_eq!(
        (status(&world, "failed"), status(&world, "active")),
        (json!(null), json!(2))
    );
    settle(&mut world, 15);
    let count = "batch.kubernetes.io/job-index-failure-count";
    let retried = pods(&world)
        .into_iter()
        .find(|pod| pod.annotation(count) == Some("1"));
    assert!(retried.is_some_and(|pod| pod.name().starts_with("work-1-")));
    assert_eq!(
        (status(&world, "failed"), status(&world, "active")),
        (json!(1), json!(3))
    );
    exit(&mut world, 1, 1, 20);
    settle(&mut world, 21);
    assert_eq!(
        counts(&world),
        [json!(null), json!(2), json!(null), json!("1")]
    );
    exit(&mut world, 0, 0, 22);
    exit(&mut world, 2, 0, 22);
    assert_eq!(
        settle(&mut world, 23),
        ["FailedIndexes: Job has failed indexes"]
    );
    assert_eq!(
        counts(&world),
        [json!(2), json!(2), json!("0,2"), json!("1")]
    );
    let why = "FailedIndexes Job has failed indexes";
    assert_eq!(
        said(&world),
        [format!("FailureTarget {why}"), format!("Failed {why}")]
    );
    assert!(pods(&world).iter().all(|pod| !is_tracked(pod)));
}

#[test]
fn too_many_failed_indexes_end_the_job() {
    let mut world = limited(|job| {
        job.set(&["spec", "backoffLimitPerIndex"], 0.into());
        job.set(&["spec", "maxFailedIndexes"], 1.into());
    });
    exit(&mut world, 0, 1, 5);
    assert!(settle(&mut world, 6).is_empty());
    exit(&mut world, 2, 1, 7);
    let message = "Job has exceeded the specified maximal number of failed indexes";
    assert_eq!(
        settle(&mut world, 8),
        [format!("MaxFailedIndexesExceeded: {message}")]
    );
    // What still ran counts as failed.
    assert_eq!(
        counts(&world),
        [json!(null), json!(3), json!(null), json!("0,2")]
    );
    assert_eq!(status(&world, "active"), json!(null));
}

fn rules(job: &mut Object, rules: &[(&str, i64)]) {
    let rule = |(action, code): &(&str, i64)| json!({ "action": action, "onExitCodes": { "operator": "In", "values": [code] } });
    let rules: Vec<_> = rules.iter().map(rule).collect();
    job.set(&["spec", "podFailurePolicy", "rules"], rules.into());
}

#[test]
fn a_failure_may_be_ignored_or_end_the_job() {
    let mut world = started(|job| {
        job.set(&["spec", "parallelism"], 1.into());
        job.set(&["spec", "backoffLimit"], 0.into());
        rules(job, &[("Ignore", 7), ("FailJob", 42)]);
    });
    let end = |world: &mut World, code, at| {
        let pod = pods(world)
            .into_iter()
            .find(|pod| crate::pod::is_active(pod))
            .unwrap();
        let mut pod = Object::clone(&pod);
        pod.set(&["status", "phase"], "Failed".into());
        let ended = json!({ "exitCode": code, "finishedAt": time(at).to_string() });
        let containers = json!([{ "name": "c", "state": { "terminated": ended } }]);
        pod.set(&["status", "containerStatuses"], containers);
        let name = pod.name().to_owned();
        world.put(&PODS, pod);
        name
    };
    end(&mut world, 7, 5);
    settle(&mut world, 6);
    assert!(status(&world, "failed").is_null() && said(&world).is_empty());
    assert!(pods(&world).iter().all(|pod| !is_tracked(pod)));
    settle(&mut world, 15);
    let name = end(&mut world, 42, 20);
    let message = format!(
        "Container c for pod default/{name} failed with exit code 42 matching FailJob rule at index 1"
    );
    assert_eq!(
        settle(&mut world, 21),
        [format!("PodFailurePolicy: {message}")]
    );
    let why = format!("PodFailurePolicy {message}");
    assert_eq!(
        said(&world),
        [format!("FailureTarget {why}"), format!("Failed {why}")]
    );
    assert_eq!(status(&world, "failed"), 1);
}

#[test]
fn an_index_may_fail_at_once_and_ignored_failures_are_handed_on() {
    let mut world = limited(|job| rules(job, &[("FailIndex", 3), ("Ignore", 7)]));
    exit(&mut world, 0, 3, 5);
    exit(&mut world, 1, 7, 5);
    settle(&mut world, 6);
    assert_eq!(status(&world, "failedIndexes"), "0");
    settle(&mut world, 15);
    let retried = pods(&world).into_iter().find(|pod| {
        pod.annotation("batch.kubernetes.io/job-index-ignored-failure-count") == Some("1")
    });
    let count = "batch.kubernetes.io/job-index-failure-count";
    assert_eq!(retried.unwrap().annotation(count), Some("0"));
    assert_eq!(status(&world, "failed"), 1);
    // An ignored failure makes the next wait longer all the same.
    exit(&mut world, 1, 7, 20);
    settle(&mut world, 21);
    let seen = Job::observe(&world, &key()).unwrap();
    assert_eq!(Job::decide(&seen, time(21)).wake_at, Some(time(40)));
}

#[test]
fn a_job_succeeds_by_its_policy_and_lets_the_rest_go() {
    let mut world = limited(|job| {
        job.remove(&["spec", "backoffLimitPerIndex"]);
        let rules = json!([{ "succeededIndexes": "1-2", "succeededCount": 1 }]);
        job.set(&["spec", "successPolicy", "rules"], rules);
    });
    exit(&mut world, 0, 0, 5);
    settle(&mut world, 6);
    assert!(said(&world).is_empty());
    exit(&mut world, 2, 0, 7);
    assert_eq!(settle(&mut world, 8), ["Completed: Job completed"]);
    let why = "SuccessPolicy Matched rules at index 0";
    assert_eq!(
        said(&world),
        [
            format!("SuccessCriteriaMet {why}"),
            format!("Complete {why}")
        ]
    );
    assert_eq!(
        counts(&world),
        [json!(2), json!(null), json!("0,2"), json!(null)]
    );
    assert_eq!(pods(&world).len(), 2);
}

#[test]
fn pods_without_an_index_of_their_own_go() {
    let mut world = limited(|_| {});
    let mut twin = Object::clone(&pods(&world)[0]);
    twin.set(&["metadata", "name"], "work-0-twin".into());
    twin.set(&["metadata", "uid"], "uid-twin".into());
    world.put(&PODS, twin);
    settle(&mut world, 5);
    assert_eq!(
        (pods(&world).len(), status(&world, "failed")),
        (3, json!(null))
    );
}

#[test]
fn pods_of_a_suspended_job_do_not_fail() {
    let mut world = started(|job| job.set(&["spec", "suspend"], true.into()));
    let mut resumed = Object::clone(&world.get(&JOBS, &key()).unwrap());
    resumed.set(&["spec", "suspend"], false.into());
    world.put(&JOBS, resumed.clone());
    settle(&mut world, 5);
    resumed.set(&["spec", "suspend"], true.into());
    world.put(&JOBS, resumed);
    let seen = Job::observe(&world, &key()).unwrap();
    let actions = Job::decide(&seen, time(6)).actions;
    let freed = actions
        .iter()
        .filter(|action| matches!(action, Action::Patch { .. }));
    assert_eq!(freed.count(), 2);
}

#[test]
fn more_successes_than_were_wanted_are_told() {
    let mut world = started(|_| {});
    let mut job = Object::clone(&world.get(&JOBS, &key()).unwrap());
    job.set(&["spec", "completions"], 1.into());
    world.put(&JOBS, job);
    end_one(&mut world, "Succeeded", 5);
    end_one(&mut world, "Succeeded", 5);
    let message = "Too many succeeded pods running after completion count reached";
    let told = [
        format!("TooManySucceededPods: {message}"),
        "Completed: Job completed".into(),
    ];
    assert_eq!(settle(&mut world, 6), told);
}
