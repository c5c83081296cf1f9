//! Claims about containers.

use std::time::Duration;

use super::{FOREVER, Subject};
use crate::v1::{ContainerFilter, ContainerState, ContainerStateValue, ImageSpec};

pub(super) async fn a_container_goes_from_created_to_running_to_exited(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let id = subject
        .create(&sandbox, subject.container("main", FOREVER))
        .await;
    let status = subject.status(&id).await;
    assert_eq!(status.state(), ContainerState::ContainerCreated);
    assert!(status.created_at > 0 && status.started_at == 0 && status.finished_at == 0);
    assert_eq!(status.metadata.expect("metadata").name, "main");

    subject.start(&id).await;
    let status = subject.status(&id).await;
    assert_eq!(status.state(), ContainerState::ContainerRunning);
    assert!(status.started_at >= status.created_at && status.finished_at == 0);
    assert!(!status.image_ref.is_empty());

    subject
        .runtime
        .stop_container(&id, Duration::from_secs(10))
        .await
        .expect("it stops");
    let status = subject.status(&id).await;
    assert_eq!(status.state(), ContainerState::ContainerExited);
    assert!(status.finished_at >= status.started_at);
    assert_eq!(status.exit_code, 143);
    subject.remove(&sandbox.0).await;
}

pub(super) async fn an_exit_code_is_kept_with_its_reason(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    for (name, script, code, reason) in [
        ("good", "exit 0", 0, "Completed"),
        ("bad", "exit 3", 3, "Error"),
    ] {
        let id = subject
            .create(&sandbox, subject.container(name, script))
            .await;
        subject.start(&id).await;
        let status = subject.ended(&id).await;
        assert_eq!(
            (status.exit_code, &*status.reason),
            (code, reason),
            "{name}"
        );
    }
    subject.remove(&sandbox.0).await;
}

pub(super) async fn a_stopped_container_can_be_stopped_again(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let id = subject
        .create(&sandbox, subject.container("main", FOREVER))
        .await;
    subject.start(&id).await;
    for _ in 0..2 {
        subject
            .runtime
            .stop_container(&id, Duration::from_secs(10))
            .await
            .expect("it stops");
    }
    subject.remove(&sandbox.0).await;
}

pub(super) async fn a_running_container_can_be_removed(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let id = subject
        .create(&sandbox, subject.container("main", FOREVER))
        .await;
    subject.start(&id).await;
    for _ in 0..2 {
        subject
            .runtime
            .remove_container(&id)
            .await
            .expect("it is removed");
    }
    let error = subject
        .runtime
        .container_status(&id, false)
        .await
        .expect_err("no container");
    assert!(error.is_not_found(), "{error}");
    subject.remove(&sandbox.0).await;
}

pub(super) async fn containers_are_listed_by_sandbox_and_state(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let first = subject
        .create(&sandbox, subject.container("first", FOREVER))
        .await;
    let second = subject
        .create(&sandbox, subject.container("second", FOREVER))
        .await;
    subject.start(&second).await;
    let list = async |state: Option<ContainerState>| {
        let state = state.map(|state| ContainerStateValue {
            state: state.into(),
        });
        let pod_sandbox_id = sandbox.0.clone();
        let filter = ContainerFilter {
            pod_sandbox_id,
            state,
            ..ContainerFilter::default()
        };
        let found = subject
            .runtime
            .list_containers(Some(filter))
            .await
            .expect("a list");
        let mut ids: Vec<String> = found.into_iter().map(|container| container.id).collect();
        ids.sort();
        ids
    };
    let mut both = [first.clone(), second.clone()];
    both.sort();
    assert_eq!(list(None).await, both);
    assert_eq!(list(Some(ContainerState::ContainerCreated)).await, [first]);
    assert_eq!(list(Some(ContainerState::ContainerRunning)).await, [second]);
    assert!(list(Some(ContainerState::ContainerExited)).await.is_empty());
    subject.remove(&sandbox.0).await;
}

pub(super) async fn a_container_needs_a_sandbox_and_an_image(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let runtime = &subject.runtime;
    let container = subject.container("main", FOREVER);
    let created = runtime
        .create_container("none", container.clone(), sandbox.1.clone())
        .await;
    assert!(created.is_err(), "a sandbox that does not exist");
    let mut imageless = container;
    let none = ImageSpec {
        image: "sampan.local/none:v0".to_owned(),
        ..ImageSpec::default()
    };
    imageless.image = Some(none);
    let created = runtime
        .create_container(&sandbox.0, imageless, sandbox.1.clone())
        .await;
    assert!(created.is_err(), "an image that is not on the node");
    subject.remove(&sandbox.0).await;
}

pub(super) async fn commands_run_only_in_running_containers(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let id = subject
        .create(&sandbox, subject.container("main", FOREVER))
        .await;
    let run = async || {
        subject
            .runtime
            .exec_sync(&id, vec!["true".to_owned()], Duration::from_secs(10))
            .await
    };
    assert!(run().await.is_err(), "it is not started");
    subject.start(&id).await;
    assert_eq!(run().await.expect("it runs").exit_code, 0);
    subject
        .runtime
        .stop_container(&id, Duration::from_secs(10))
        .await
        .expect("it stops");
    assert!(run().await.is_err(), "it has ended");
    subject.remove(&sandbox.0).await;
}
