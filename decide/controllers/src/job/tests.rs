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
        .map(|pod| tally::index_of(pod))
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
