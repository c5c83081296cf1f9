//! Cases.

use k8s_openapi::api::core::v1::{ContainerState, PodCondition};
use serde_json::{Value, json};

use super::super::testing::*;
use super::super::waiting;
use super::*;
use crate::back_off::later;
use crate::seen::{Doing, Failure, ImageSeen, Probes};

fn web() -> Value {
    json!({ "containers": [{ "name": "a", "image": "x:1" }] })
}

fn told(seen: &Seen) -> PodStatus {
    status(seen, now())
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a PodCondition {
    status
        .conditions
        .iter()
        .flatten()
        .find(|one| one.type_ == type_)
        .unwrap()
}

fn state(status: &PodStatus, index: usize) -> ContainerState {
    status.container_statuses.as_ref().unwrap()[index]
        .state
        .clone()
        .unwrap()
}

fn waiting(status: &PodStatus) -> (String, String) {
    let waiting = state(status, 0).waiting.unwrap();
    (
        waiting.reason.unwrap_or_default(),
        waiting.message.unwrap_or_default(),
    )
}

fn phase_of(seen: &Seen) -> String {
    told(seen).phase.unwrap()
}

#[test]
fn a_new_pod_is_pending_and_its_containers_are_being_created() {
    let status = told(&bare(web()));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(
        waiting(&status),
        ("ContainerCreating".to_owned(), String::new())
    );
    assert_eq!(
        condition(&status, "PodReadyToStartContainers").status,
        "False"
    );
    assert_eq!(condition(&status, "Initialized").status, "True");
    let ready = condition(&status, "Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_deref()),
        ("False", Some("ContainersNotReady"))
    );
    assert_eq!(
        ready.message.as_deref(),
        Some("containers with unready status: [a]")
    );
    assert_eq!(condition(&status, "PodScheduled").status, "True");
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert_eq!(status.host_ip.as_deref(), Some("192.168.0.1"));
    assert_eq!(status.start_time, Some(Time(now())));
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn a_running_pod_is_ready_and_has_its_address() {
    let status = told(&running(seen(web()), "a"));
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.0.0.2"));
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert!(container.ready && container.started == Some(true));
    assert_eq!(container.container_id.as_deref(), Some("containerd://a-0"));
    assert_eq!(condition(&status, "Ready").status, "True");
    assert!(state(&status, 0).running.is_some());
}

#[test]
fn app_containers_wait_for_init_containers() {
    let mut spec = web();
    spec["initContainers"] = json!([{ "name": "i", "image": "x:1" }]);
    let status = told(&running(seen(spec.clone()), "i"));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(waiting(&status).0, "PodInitializing");
    let initialized = condition(&status, "Initialized");
    assert_eq!(
        initialized.reason.as_deref(),
        Some("ContainersNotInitialized")
    );
    assert_eq!(
        initialized.message.as_deref(),
        Some("containers with incomplete status: [i]")
    );
    let status = told(&running(exited(seen(spec), "i", 0, 0), "a"));
    assert!(status.init_container_statuses.as_ref().unwrap()[0].ready);
    assert_eq!(condition(&status, "Initialized").status, "True");
}

#[test]
fn a_crash_loop_shows_the_wait_and_the_last_end() {
    let status = told(&exited(exited(seen(web()), "a", 0, 7), "a", 1, 3));
    assert_eq!(
        waiting(&status),
        (
            "CrashLoopBackOff".to_owned(),
            "back-off 10s restarting failed container=a pod=p_n(u)".to_owned()
        )
    );
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(container.restart_count, 1);
    let last = container
        .last_state
        .as_ref()
        .unwrap()
        .terminated
        .as_ref()
        .unwrap();
    assert_eq!((last.exit_code, last.reason.as_deref()), (3, Some("Error")));
    assert_eq!(status.phase.as_deref(), Some("Running"));
}

#[test]
fn a_failed_pull_shows_first_the_error_then_the_back_off() {
    let mut picture = seen(web());
    picture
        .images
        .insert("x:1".to_owned(), ImageSeen::Absent { at: now() });
    let failure = Failure {
        reason: "ErrImagePull".to_owned(),
        message: "not found".to_owned(),
        at: now(),
        count: 1,
    };
    picture.pull_failures.insert("x:1".to_owned(), failure);
    assert_eq!(
        waiting(&told(&picture)),
        ("ErrImagePull".to_owned(), "not found".to_owned())
    );
    let back_off = (
        "ImagePullBackOff".to_owned(),
        "Back-off pulling image \"x:1\": ErrImagePull: not found".to_owned(),
    );
    assert_eq!(waiting(&status(&picture, later(now(), 3))), back_off);
    // It stays in view while the image is pulled again.
    assert_eq!(waiting(&status(&picture, later(now(), 11))), back_off);
    assert_eq!(phase_of(&picture), "Pending");
}

#[test]
fn failed_starts_and_bad_names_are_shown() {
    let mut picture = seen(web());
    let failure = Failure {
        reason: "CreateContainerConfigError".to_owned(),
        message: "secret \"s\" not found".to_owned(),
        at: now(),
        count: 1,
    };
    picture.start_failures.insert("a".to_owned(), failure);
    assert_eq!(waiting(&told(&picture)).0, "CreateContainerConfigError");
    let picture = seen(json!({ "containers": [{ "name": "a", "image": "Upper" }] }));
    assert_eq!(waiting(&told(&picture)).0, "InvalidImageName");
}

#[test]
fn ends_decide_the_phase_by_restart_policy() {
    let ended = |policy: &str, code| {
        let spec =
            json!({ "restartPolicy": policy, "containers": [{ "name": "a", "image": "x:1" }] });
        phase_of(&exited(seen(spec), "a", 0, code))
    };
    assert_eq!(ended("Never", 0), "Succeeded");
    assert_eq!(ended("Never", 1), "Failed");
    assert_eq!(ended("OnFailure", 0), "Succeeded");
    assert_eq!(ended("OnFailure", 1), "Running");
    assert_eq!(ended("Always", 0), "Running");
}

#[test]
fn a_completed_pod_says_so_in_its_conditions() {
    let spec = json!({ "restartPolicy": "Never", "containers": [{ "name": "a", "image": "x:1" }] });
    let status = told(&exited(seen(spec), "a", 0, 0));
    assert_eq!(
        condition(&status, "Ready").reason.as_deref(),
        Some("PodCompleted")
    );
    assert_eq!(
        state(&status, 0).terminated.unwrap().reason.as_deref(),
        Some("Completed")
    );
}

#[test]
fn the_runtimes_reasons_pass_through() {
    let mut picture = exited(
        seen(json!({ "restartPolicy": "Never", "containers": [{ "name": "a", "image": "x:1" }] })),
        "a",
        0,
        137,
    );
    picture.containers[0].reason = "OOMKilled".to_owned();
    let ended = state(&told(&picture), 0).terminated.unwrap();
    assert_eq!(
        (ended.reason.as_deref(), ended.exit_code),
        (Some("OOMKilled"), 137)
    );
}

#[test]
fn a_failed_init_container_fails_a_pod_that_never_restarts() {
    let mut spec = web();
    spec["initContainers"] = json!([{ "name": "i", "image": "x:1" }]);
    spec["restartPolicy"] = json!("Never");
    assert_eq!(phase_of(&exited(seen(spec), "i", 0, 1)), "Failed");
}

#[test]
fn readiness_follows_the_probe_and_survives_a_new_agent() {
    let spec = json!({ "containers": [{ "name": "a", "image": "x:1", "readinessProbe": { "exec": {} } }] });
    let mut picture = running(seen(spec), "a");
    assert_eq!(condition(&told(&picture), "Ready").status, "False");
    picture.probes.insert(
        "a-0".to_owned(),
        Probes {
            readiness: Some(true),
            ..Probes::default()
        },
    );
    let ready = told(&picture);
    assert_eq!(condition(&ready, "Ready").status, "True");
    picture.pod.status = Some(ready);
    picture.probes.clear();
    assert_eq!(condition(&told(&picture), "Ready").status, "True");
    picture.probes.insert(
        "a-0".to_owned(),
        Probes {
            readiness: Some(false),
            ..Probes::default()
        },
    );
    assert_eq!(condition(&told(&picture), "Ready").status, "False");
}

#[test]
fn readiness_gates_hold_ready_back() {
    let mut spec = web();
    spec["readinessGates"] = json!([{ "conditionType": "lb" }]);
    let mut picture = running(seen(spec), "a");
    let status = told(&picture);
    assert_eq!(condition(&status, "ContainersReady").status, "True");
    assert_eq!(
        condition(&status, "Ready").message.as_deref(),
        Some("corresponding condition of pod readiness gate \"lb\" does not exist.")
    );
    let gate = PodCondition {
        type_: "lb".to_owned(),
        status: "True".to_owned(),
        ..PodCondition::default()
    };
    picture.pod.status = Some(PodStatus {
        conditions: Some(vec![gate]),
        ..PodStatus::default()
    });
    let status = told(&picture);
    assert_eq!(condition(&status, "Ready").status, "True");
    assert_eq!(condition(&status, "lb").status, "True");
}

#[test]
fn a_last_state_is_written_even_when_there_is_none() {
    let status = told(&running(seen(web()), "a"));
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(container.last_state, Some(ContainerState::default()));
}

#[test]
fn transitions_are_dated_and_the_rest_keeps_its_date() {
    let mut picture = running(seen(web()), "a");
    picture.pod.status = Some(told(&picture));
    let again = status(&picture, later(now(), 60));
    assert_eq!(Some(&again), picture.pod.status.as_ref());
}

#[test]
fn a_pod_past_its_deadline_has_failed_once_nothing_of_it_runs() {
    let mut spec = web();
    spec["activeDeadlineSeconds"] = json!(1);
    let mut picture = running(seen(spec), "a");
    picture.pod.status = Some(PodStatus {
        start_time: Some(Time(later(now(), -5))),
        ..PodStatus::default()
    });
    assert_eq!(why(&told(&picture)), ("Running", ""));
    picture.containers.clear();
    let picture = exited(picture, "a", 0, 0);
    assert_eq!(why(&told(&picture)), ("Failed", "DeadlineExceeded"));
}

#[test]
fn an_evicted_pod_has_failed_however_its_containers_end() {
    let mut spec = web();
    spec["restartPolicy"] = json!("Never");
    let mut picture = running(seen(spec), "a");
    picture.eviction = Some("too much".to_owned());
    picture.pod.status = Some(told(&picture));
    assert_eq!(why(&told(&picture)), ("Running", ""));
    picture.containers.clear();
    let mut picture = exited(picture, "a", 0, 0);
    let subject = Subject::Container("a".to_owned());
    picture.in_flight.insert(subject, Doing::Stopping);
    assert_eq!(why(&told(&picture)), ("Running", ""));
    picture.in_flight.clear();
    let status = told(&picture);
    assert_eq!(why(&status), ("Failed", "Evicted"));
    assert_eq!(status.message.as_deref(), Some("too much"));
}

/// Phase and reason.
fn why(status: &PodStatus) -> (&str, &str) {
    let phase = status.phase.as_deref().unwrap_or_default();
    (phase, status.reason.as_deref().unwrap_or_default())
}

#[test]
fn a_pod_deleted_before_it_ran_has_failed_in_the_end() {
    let mut picture = deleted(seen(web()), 30);
    picture.sandboxes.clear();
    let status = told(&picture);
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert_eq!(
        state(&status, 0).terminated.unwrap().reason.as_deref(),
        Some("ContainerStatusUnknown")
    );
    assert_eq!(phase_of(&deleted(running(seen(web()), "a"), 30)), "Running");
    assert_eq!(
        phase_of(&deleted(exited(seen(web()), "a", 0, 0), 30)),
        "Succeeded"
    );
}

#[test]
fn a_container_the_runtime_lost_is_counted_as_ended() {
    let mut picture = running(seen(web()), "a");
    picture.pod.status = Some(told(&picture));
    picture.containers.clear();
    let status = told(&picture);
    let container = &status.container_statuses.as_ref().unwrap()[0];
    assert_eq!(container.restart_count, 1);
    let last = container
        .last_state
        .as_ref()
        .unwrap()
        .terminated
        .as_ref()
        .unwrap();
    assert_eq!(
        (last.exit_code, last.reason.as_deref()),
        (137, Some("ContainerStatusUnknown"))
    );
    assert_eq!(status.phase.as_deref(), Some("Running"));
    // The instance to come goes on with the count, whichever of the two statuses it follows.
    assert_eq!(waiting::attempt(&picture, "a"), 1);
    picture.pod.status = Some(status);
    assert_eq!(waiting::attempt(&picture, "a"), 1);
}

#[test]
fn a_final_phase_never_changes() {
    let mut picture = running(seen(web()), "a");
    picture.pod.status = Some(PodStatus {
        phase: Some("Failed".to_owned()),
        reason: Some("Evicted".to_owned()),
        ..PodStatus::default()
    });
    let status = told(&picture);
    assert_eq!(
        (status.phase.as_deref(), status.reason.as_deref()),
        (Some("Failed"), Some("Evicted"))
    );
}

#[test]
fn a_container_runs_once_its_hook_after_the_start_has_ended() {
    let hook = json!({ "postStart": { "exec": {} } });
    let spec = json!({ "containers": [{ "name": "a", "image": "x:1", "lifecycle": hook }] });
    let mut picture = running(seen(spec), "a");
    let subject = crate::seen::Subject::Container("a".to_owned());
    picture
        .in_flight
        .insert(subject, crate::seen::Doing::Starting);
    let status = told(&picture);
    assert_eq!(waiting(&status).0, "ContainerCreating");
    assert_eq!(condition(&status, "Ready").status, "False");
    picture.in_flight.clear();
    assert_eq!(condition(&told(&picture), "Ready").status, "True");
}

#[test]
fn init_containers_that_succeeded_stay_ready_when_the_pod_has_ended() {
    let spec = json!({ "restartPolicy": "Never", "initContainers": [{ "name": "i", "image": "x:1" }],
        "containers": [{ "name": "a", "image": "x:1" }] });
    let status = told(&exited(exited(seen(spec), "i", 0, 0), "a", 0, 0));
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert!(status.init_container_statuses.unwrap()[0].ready);
}

#[test]
fn a_pod_that_is_not_taken_has_failed_and_nothing_is_said_of_its_containers() {
    let mut seen = bare(web());
    seen.rejection = Some(Rejection {
        reason: "NodePorts".to_owned(),
        message: "no port".to_owned(),
    });
    let scheduled = json!({ "type": "PodScheduled", "status": "True" });
    let other = json!({ "type": "example.com/gate", "status": "True" });
    let old = json!({ "phase": "Pending", "conditions": [scheduled, other] });
    seen.pod.status = serde_json::from_value(old).unwrap();
    let expected = json!({
        "phase": "Failed", "reason": "NodePorts", "message": "Pod was rejected: no port", "qosClass": "BestEffort",
        "observedGeneration": 1, "startTime": now().to_string(), "conditions": [other],
    });
    let written = told(&seen);
    assert_eq!(json!(written), expected);
    // What was said stays, whether or not the agent still knows why.
    seen.rejection = None;
    seen.pod.status = Some(written);
    assert_eq!(json!(status(&seen, later(now(), 9))), expected);
}
