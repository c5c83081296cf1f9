//! Cases.

use serde_json::{Value, json};

use super::super::testing::*;
use super::*;
use crate::admission::Rejection;
use crate::back_off::later;
use crate::seen::{Failure, ImageSeen, Probes, Sandbox};

fn web() -> Value {
    json!({ "containers": [{ "name": "a", "image": "x:1" }] })
}

fn with_inits(policy: &str) -> Value {
    json!({ "restartPolicy": policy, "containers": [{ "name": "a", "image": "x:1" }],
        "initContainers": [{ "name": "i", "image": "x:1" }, { "name": "j", "image": "x:1" }] })
}

fn decided(seen: &Seen) -> Step {
    step(seen, now())
}

/// The names of what is done, without events.
fn done(step: &Step) -> Vec<String> {
    let shown = |action: &Action| match action {
        Action::Start(start) => Some(format!("start {} #{}", start.name, start.attempt)),
        Action::Stop {
            name,
            grace_seconds,
            ..
        } => Some(format!("stop {name} in {grace_seconds}")),
        Action::PullImage { image, .. } => Some(format!("pull {image}")),
        Action::InspectImage { image, .. } => Some(format!("inspect {image}")),
        Action::RunSandbox { attempt } => Some(format!("sandbox #{attempt}")),
        Action::StopSandbox { id } => Some(format!("stop sandbox {id}")),
        Action::RemoveSandbox { id } => Some(format!("remove sandbox {id}")),
        Action::RemoveContainer { id, .. } => Some(format!("remove {id}")),
        Action::MountVolumes => Some("mount".to_owned()),
        Action::RemoveVolumes => Some("unmount".to_owned()),
        Action::Cancel { name } => Some(format!("cancel {name}")),
        Action::DeletePod => Some("delete pod".to_owned()),
        Action::Record(_) => None,
    };
    step.actions.iter().filter_map(shown).collect()
}

fn recorded(step: &Step) -> Vec<String> {
    let shown = |action: &Action| match action {
        Action::Record(event) => Some(format!("{} {}", event.reason, event.message)),
        _ => None,
    };
    step.actions.iter().filter_map(shown).collect()
}

#[test]
fn a_new_pod_gets_volumes_then_a_sandbox_then_containers() {
    let mut picture = bare(web());
    assert_eq!(done(&decided(&picture)), ["mount"]);
    picture.volumes = Volumes::Ready;
    assert_eq!(done(&decided(&picture)), ["sandbox #0"]);
    let picture = seen(web());
    assert_eq!(done(&decided(&picture)), ["start a #0"]);
    assert_eq!(done(&decided(&running(picture, "a"))), [""; 0]);
}

#[test]
fn a_pod_that_is_not_taken_is_told_of_and_nothing_is_made_of_it() {
    let mut picture = bare(web());
    picture.rejection = Some(Rejection {
        reason: "OutOfcpu".to_owned(),
        message: "too little".to_owned(),
    });
    let step = decided(&picture);
    assert_eq!(recorded(&step), ["OutOfcpu too little"]);
    assert_eq!(done(&step), [""; 0]);
    picture.is_status_written = true;
    assert_eq!(done(&decided(&picture)), ["unmount"]);
    picture.volumes = Volumes::Removed;
    assert_eq!(decided(&picture).stage, Stage::Finished);
}

#[test]
fn what_is_being_done_is_not_done_twice() {
    let mut picture = seen(web());
    picture
        .in_flight
        .insert(Subject::Container("a".to_owned()), Doing::Starting);
    assert_eq!(done(&decided(&picture)), [""; 0]);
    let mut picture = bare(web());
    picture.volumes = Volumes::Ready;
    picture.in_flight.insert(Subject::Sandbox, Doing::Starting);
    assert_eq!(done(&decided(&picture)), [""; 0]);
}

#[test]
fn app_containers_start_together() {
    let spec =
        json!({ "containers": [{ "name": "a", "image": "x:1" }, { "name": "b", "image": "y:1" }] });
    assert_eq!(done(&decided(&seen(spec))), ["start a #0", "start b #0"]);
}

#[test]
fn a_network_that_is_not_ready_holds_sandboxes_back_but_not_the_hosts() {
    let mut picture = bare(web());
    picture.volumes = Volumes::Ready;
    picture.node.network_error = Some("cni not initialized".to_owned());
    let step = decided(&picture);
    assert_eq!(done(&step), [""; 0]);
    assert_eq!(
        recorded(&step),
        ["NetworkNotReady network is not ready: cni not initialized"]
    );
    assert!(step.wake_at.is_some());
    picture.pod.spec.as_mut().unwrap().host_network = Some(true);
    assert_eq!(done(&decided(&picture)), ["sandbox #0"]);
}

#[test]
fn a_dead_sandbox_is_replaced_and_its_containers_are_stopped_first() {
    let mut picture = running(seen(web()), "a");
    picture.sandboxes[0].is_ready = false;
    assert_eq!(done(&decided(&picture)), ["stop a in 30"]);
    picture.containers[0].state = State::Exited;
    let step = decided(&picture);
    assert_eq!(done(&step), ["sandbox #1"]);
    assert_eq!(
        recorded(&step),
        ["SandboxChanged Pod sandbox changed, it will be killed and re-created."]
    );
    picture.sandboxes.insert(
        0,
        Sandbox {
            id: "s1".to_owned(),
            attempt: 1,
            is_ready: true,
            ips: vec!["10.0.0.3".to_owned()],
            ..Sandbox::default()
        },
    );
    picture.containers[0].crashes = Some(0);
    assert_eq!(done(&decided(&picture)), ["start a #1"]);
}

#[test]
fn a_failed_sandbox_is_tried_again_after_ten_seconds() {
    let mut picture = bare(web());
    picture.volumes = Volumes::Ready;
    picture.sandbox_failure = Some(Failure {
        reason: "FailedCreatePodSandBox".to_owned(),
        message: String::new(),
        at: now(),
        count: 1,
    });
    let step = decided(&picture);
    assert_eq!(
        (done(&step), step.wake_at),
        (vec![], Some(back_off::later(now(), 10)))
    );
}

#[test]
fn init_containers_run_in_order_each_to_its_end() {
    let picture = seen(with_inits("Always"));
    assert_eq!(done(&decided(&picture)), ["start i #0"]);
    let picture = running(picture, "i");
    assert_eq!(
        (decided(&picture).stage, done(&decided(&picture))),
        (Stage::Init { index: 0 }, vec![])
    );
    let picture = exited(seen(with_inits("Always")), "i", 0, 0);
    assert_eq!(done(&decided(&picture)), ["start j #0"]);
    let picture = exited(picture, "j", 0, 0);
    assert_eq!(done(&decided(&picture)), ["start a #0"]);
    // Once an app container has run, init containers are not looked at any more.
    let mut picture = running(picture, "a");
    picture.containers.retain(|one| one.name == "a");
    assert_eq!(done(&decided(&picture)), [""; 0]);
}

#[test]
fn a_failed_init_container_is_tried_again_or_fails_the_pod() {
    let picture = exited(seen(with_inits("OnFailure")), "i", 0, 1);
    assert_eq!(done(&decided(&picture)), ["start i #1"]);
    let picture = exited(seen(with_inits("OnFailure")), "i", 2, 1);
    assert_eq!(decided(&picture).wake_at, Some(back_off::later(now(), 19)));
    let picture = exited(seen(with_inits("Never")), "i", 0, 1);
    let step = decided(&picture);
    assert_eq!(
        (step.stage.clone(), done(&step)),
        (
            Stage::Stopping { deadline: None },
            vec!["stop sandbox s0".to_owned()]
        )
    );
}

#[test]
fn a_sidecar_must_start_before_what_follows_it() {
    let spec = json!({ "containers": [{ "name": "a", "image": "x:1" }], "initContainers": [
        { "name": "s", "image": "x:1", "restartPolicy": "Always", "startupProbe": { "exec": {} } }] });
    let picture = seen(spec);
    assert_eq!(done(&decided(&picture)), ["start s #0"]);
    let mut picture = running(picture, "s");
    assert_eq!(decided(&picture).stage, Stage::Init { index: 0 });
    picture.probes.insert(
        "s-0".to_owned(),
        Probes {
            startup: Some(true),
            ..Probes::default()
        },
    );
    assert_eq!(done(&decided(&picture)), ["start a #0"]);
    let mut picture = running(picture, "a");
    picture.containers.retain(|one| one.name == "a");
    assert_eq!(done(&decided(&picture)), ["start s #0"]);
}

#[test]
fn restart_policy_decides_after_an_end() {
    let ended = |policy: &str, code| {
        let spec =
            json!({ "restartPolicy": policy, "containers": [{ "name": "a", "image": "x:1" }] });
        done(&decided(&exited(seen(spec), "a", 0, code)))
    };
    assert_eq!(ended("Always", 0), ["start a #1"]);
    assert_eq!(ended("OnFailure", 1), ["start a #1"]);
    assert_eq!(ended("OnFailure", 0), ["stop sandbox s0"]);
    assert_eq!(ended("Never", 1), ["stop sandbox s0"]);
}

#[test]
fn a_crash_loop_waits_and_says_so() {
    let step = decided(&exited(seen(web()), "a", 1, 1));
    assert_eq!(done(&step), [""; 0]);
    assert_eq!(
        recorded(&step),
        ["BackOff Back-off restarting failed container a in pod p_n(u)"]
    );
    assert_eq!(step.wake_at, Some(back_off::later(now(), 9)));
}

#[test]
fn images_are_looked_up_then_pulled() {
    let mut picture = seen(web());
    picture.images.clear();
    assert_eq!(done(&decided(&picture)), ["inspect x:1"]);
    picture
        .images
        .insert("x:1".to_owned(), ImageSeen::Absent { at: now() });
    assert_eq!(done(&decided(&picture)), ["pull x:1"]);
    picture.pull_failures.insert(
        "x:1".to_owned(),
        Failure {
            reason: "ErrImagePull".to_owned(),
            message: "no".to_owned(),
            at: now(),
            count: 2,
        },
    );
    let step = decided(&picture);
    assert_eq!(
        (done(&step), step.wake_at),
        (vec![], Some(back_off::later(now(), 2)))
    );
    assert_eq!(
        done(&super::step(&picture, back_off::later(now(), 20))),
        ["pull x:1"]
    );
}

#[test]
fn always_pulls_once_per_instance() {
    let mut picture = seen(
        json!({ "containers": [{ "name": "a", "image": "x:1", "imagePullPolicy": "Always" }] }),
    );
    assert_eq!(done(&decided(&picture)), ["pull x:1"]);
    picture.pulled.insert("a".to_owned(), 0);
    assert_eq!(done(&decided(&picture)), ["start a #0"]);
    let picture = exited(picture, "a", 0, 1);
    assert_eq!(done(&decided(&picture)), ["pull x:1"]);
}

#[test]
fn bad_and_missing_images_are_told() {
    let step = decided(&seen(
        json!({ "containers": [{ "name": "a", "image": "UPPER" }] }),
    ));
    assert!(recorded(&step)[0].starts_with("InspectFailed Failed to apply default image tag \"UPPER\": couldn't parse image name \"UPPER\": invalid reference format"));
    let mut picture = seen(
        json!({ "containers": [{ "name": "a", "image": "z:1", "imagePullPolicy": "Never" }] }),
    );
    picture
        .images
        .insert("z:1".to_owned(), ImageSeen::Absent { at: now() });
    assert_eq!(
        recorded(&decided(&picture)),
        [
            "ErrImageNeverPull Container image \"z:1\" is not present with pull policy of Never",
            "Failed Error: ErrImageNeverPull"
        ]
    );
    // Somebody may import it.
    let later = back_off::later(now(), back_off::RETRY_SECONDS);
    assert_eq!(decided(&picture).wake_at, Some(later));
    assert_eq!(done(&super::step(&picture, later)), ["inspect z:1"]);
}

#[test]
fn failed_liveness_stops_a_container_and_a_new_image_replaces_it() {
    let spec = json!({ "containers": [{ "name": "a", "image": "x:1",
        "livenessProbe": { "exec": {}, "terminationGracePeriodSeconds": 3 } }] });
    let mut picture = running(seen(spec), "a");
    picture.probes.insert(
        "a-0".to_owned(),
        Probes {
            liveness: Some(false),
            ..Probes::default()
        },
    );
    let step = decided(&picture);
    assert_eq!(done(&step), ["stop a in 3"]);
    assert!(
        matches!(&step.actions[0], Action::Stop { message, .. } if message == "Container a failed liveness probe, will be restarted")
    );
    let mut picture = running(seen(web()), "a");
    picture.pod.spec.as_mut().unwrap().containers[0].image = Some("y:1".to_owned());
    let step = decided(&picture);
    assert!(
        matches!(&step.actions[0], Action::Stop { message, .. } if message == "Container a definition changed, will be restarted")
    );
}

#[test]
fn an_instance_that_never_started_is_made_again() {
    let mut picture = seen(web());
    let made = instance(&picture, "a", 0, State::Created);
    picture.containers.push(made);
    assert_eq!(done(&decided(&picture)), ["remove a-0"]);
}

#[test]
fn a_deleted_pod_is_stopped_cleared_and_removed() {
    let mut picture = deleted(running(seen(web()), "a"), 25);
    // The deadline has no part of a second, and was due a part of one later.
    assert_eq!(done(&decided(&picture)), ["stop a in 26"]);
    picture.pod.metadata.deletion_grace_period_seconds = Some(25);
    let step = decided(&picture);
    assert_eq!(
        (done(&step), step.stage),
        (
            vec!["stop a in 25".to_owned()],
            Stage::Stopping {
                deadline: Some(back_off::later(now(), 25))
            }
        )
    );
    picture.containers[0].state = State::Exited;
    assert_eq!(done(&decided(&picture)), ["stop sandbox s0"]);
    picture.sandboxes[0].is_ready = false;
    assert_eq!(done(&decided(&picture)), ["unmount"]);
    picture.volumes = Volumes::Removed;
    assert_eq!(done(&decided(&picture)), [""; 0]);
    picture.is_status_written = true;
    assert_eq!(done(&decided(&picture)), ["delete pod"]);
}

#[test]
fn a_forced_deletion_kills_at_once_and_pulls_are_given_up() {
    let mut picture = deleted(running(seen(web()), "a"), 0);
    picture.pod.metadata.deletion_grace_period_seconds = Some(0);
    assert_eq!(done(&decided(&picture)), ["stop a in 0"]);
    let mut picture = deleted(seen(web()), 30);
    picture
        .in_flight
        .insert(Subject::Container("a".to_owned()), Doing::Pulling);
    assert_eq!(done(&decided(&picture)), ["cancel a"]);
}

#[test]
fn sidecars_stop_last() {
    let spec = json!({ "containers": [{ "name": "a", "image": "x:1" }], "initContainers": [
        { "name": "s", "image": "x:1", "restartPolicy": "Always" }, { "name": "t", "image": "x:1", "restartPolicy": "Always" }] });
    let mut picture = deleted(running(running(running(seen(spec), "s"), "t"), "a"), 30);
    assert_eq!(done(&decided(&picture)), ["stop a in 30"]);
    picture.containers.retain(|one| one.name != "a");
    assert_eq!(done(&decided(&picture)), ["stop t in 30"]);
    picture.containers.retain(|one| one.name != "t");
    assert_eq!(done(&decided(&picture)), ["stop s in 30"]);
}

#[test]
fn an_orphan_leaves_nothing_behind() {
    let mut picture = running(seen(web()), "a");
    picture.is_orphan = true;
    picture.containers[0].grace_seconds = Some(7);
    assert_eq!(done(&decided(&picture)), ["stop a in 7"]);
    picture.containers[0].state = State::Exited;
    picture.sandboxes[0].is_ready = false;
    picture.volumes = Volumes::Removed;
    assert_eq!(done(&decided(&picture)), ["remove sandbox s0"]);
    picture.sandboxes.clear();
    picture.containers.clear();
    assert_eq!(decided(&picture).stage, Stage::Gone);
}

#[test]
fn a_pod_past_its_deadline_is_stopped() {
    let mut spec = web();
    spec["activeDeadlineSeconds"] = json!(60);
    let mut picture = running(seen(spec), "a");
    let started = |seconds: i64| {
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(back_off::later(now(), -seconds))
    };
    picture.pod.status = Some(k8s_openapi::api::core::v1::PodStatus {
        start_time: Some(started(50)),
        ..Default::default()
    });
    assert_eq!(decided(&picture).wake_at, Some(back_off::later(now(), 10)));
    picture.pod.status.as_mut().unwrap().start_time = Some(started(60));
    assert_eq!(done(&decided(&picture)), ["stop a in 30"]);
}

#[test]
fn only_the_newest_two_instances_are_kept() {
    let picture = exited(exited(seen(web()), "a", 0, 1), "a", 1, 1);
    let picture = exited(picture, "a", 2, 1);
    assert_eq!(done(&decided(&picture)), ["remove a-0"]);
}

#[test]
fn a_finished_pod_keeps_its_containers_for_their_logs() {
    let spec = json!({ "restartPolicy": "Never", "containers": [{ "name": "a", "image": "x:1" }] });
    let mut picture = exited(seen(spec), "a", 0, 0);
    picture.sandboxes[0].is_ready = false;
    picture.volumes = Volumes::Removed;
    picture.is_status_written = true;
    let step = decided(&picture);
    assert_eq!((step.stage.clone(), done(&step)), (Stage::Finished, vec![]));
}

#[test]
fn an_evicted_pod_is_told_and_stopped_soon() {
    let spec = json!({ "containers": [{ "name": "a", "image": "x:1" }] });
    let mut picture = running(seen(spec), "a");
    picture.eviction = Some("too much".to_owned());
    let step = decided(&picture);
    assert_eq!(recorded(&step), ["Evicted too much"]);
    assert_eq!(done(&step), ["stop a in 2"]);
}

#[test]
fn a_pod_past_its_deadline_is_told_and_stopped() {
    let spec =
        json!({ "activeDeadlineSeconds": 5, "containers": [{ "name": "a", "image": "x:1" }] });
    let mut picture = running(seen(spec), "a");
    picture.pod.status =
        serde_json::from_value(json!({ "startTime": later(now(), -6).to_string() })).unwrap();
    let step = decided(&picture);
    assert_eq!(
        recorded(&step),
        ["DeadlineExceeded Pod was active on the node longer than the specified deadline"]
    );
    assert_eq!(done(&step), ["stop a in 30"]);
}
