//! Claims about sandboxes and the runtime as a whole.

use std::{collections::HashMap, slice};

use super::{FOREVER, Subject};
use crate::v1::{PodSandboxFilter, PodSandboxState, PodSandboxStateValue};

pub(super) async fn a_runtime_says_who_and_how_it_is(subject: Subject) {
    let version = subject.runtime.version().await.expect("a version");
    assert_eq!(version.runtime_api_version, "v1");
    assert!(!version.runtime_name.is_empty() && !version.runtime_version.is_empty());
    let status = subject
        .runtime
        .status(false)
        .await
        .expect("a status")
        .status;
    let conditions = status.expect("conditions").conditions;
    let is_ready = |name: &str| conditions.iter().any(|it| it.r#type == name && it.status);
    assert!(
        is_ready("RuntimeReady") && is_ready("NetworkReady"),
        "{conditions:?}"
    );
}

pub(super) async fn a_sandbox_has_an_address_and_keeps_its_labels(subject: Subject) {
    let (id, config) = subject.run_sandbox().await;
    let status = subject
        .runtime
        .pod_sandbox_status(&id, false)
        .await
        .expect("an answer")
        .status;
    let status = status.expect("a status");
    assert_eq!(status.state(), PodSandboxState::SandboxReady);
    assert_eq!(status.metadata, config.metadata);
    assert_eq!(status.labels, config.labels);
    assert!(status.created_at > 0);
    let ip = status.network.expect("a network").ip;
    assert!(ip.parse::<std::net::IpAddr>().is_ok(), "{ip:?}");
    subject.remove(&id).await;
}

pub(super) async fn sandboxes_are_listed_by_label_state_and_id(subject: Subject) {
    let (id, config) = subject.run_sandbox().await;
    let (other, _) = subject.run_sandbox().await;
    let list = async |filter: PodSandboxFilter| {
        let found = subject
            .runtime
            .list_pod_sandboxes(Some(filter))
            .await
            .expect("a list");
        found
            .into_iter()
            .map(|sandbox| sandbox.id)
            .collect::<Vec<_>>()
    };
    let by_label = PodSandboxFilter {
        label_selector: config.labels,
        ..PodSandboxFilter::default()
    };
    assert_eq!(list(by_label.clone()).await, slice::from_ref(&id));
    let by_id = PodSandboxFilter {
        id: other.clone(),
        ..PodSandboxFilter::default()
    };
    assert_eq!(list(by_id).await, slice::from_ref(&other));
    let none = HashMap::from([("case".to_owned(), "none".to_owned())]);
    let by_none = PodSandboxFilter {
        label_selector: none,
        ..PodSandboxFilter::default()
    };
    assert!(list(by_none).await.is_empty());
    let not_ready = PodSandboxStateValue {
        state: PodSandboxState::SandboxNotready.into(),
    };
    let by_both = PodSandboxFilter {
        state: Some(not_ready),
        ..by_label
    };
    assert!(list(by_both.clone()).await.is_empty());
    subject
        .runtime
        .stop_pod_sandbox(&id)
        .await
        .expect("it stops");
    assert_eq!(list(by_both).await, slice::from_ref(&id));
    subject.remove(&id).await;
    subject.remove(&other).await;
}

pub(super) async fn stopping_and_removing_a_sandbox_can_be_repeated(subject: Subject) {
    let (id, _) = subject.run_sandbox().await;
    for _ in 0..2 {
        subject
            .runtime
            .stop_pod_sandbox(&id)
            .await
            .expect("it stops");
    }
    for _ in 0..2 {
        subject
            .runtime
            .remove_pod_sandbox(&id)
            .await
            .expect("it is removed");
    }
}

pub(super) async fn what_does_not_exist_is_not_found_and_gone_already(subject: Subject) {
    let runtime = &subject.runtime;
    let error = runtime
        .pod_sandbox_status("none", false)
        .await
        .expect_err("no sandbox");
    assert!(error.is_not_found(), "{error}");
    let error = runtime
        .container_status("none", false)
        .await
        .expect_err("no container");
    assert!(error.is_not_found(), "{error}");
    runtime
        .stop_pod_sandbox("none")
        .await
        .expect("nothing to stop");
    runtime
        .remove_pod_sandbox("none")
        .await
        .expect("nothing to remove");
    runtime
        .remove_container("none")
        .await
        .expect("nothing to remove");
}

pub(super) async fn removing_a_sandbox_removes_its_containers(subject: Subject) {
    let sandbox = subject.run_sandbox().await;
    let id = subject
        .create(&sandbox, subject.container("main", FOREVER))
        .await;
    subject.start(&id).await;
    subject.remove(&sandbox.0).await;
    let error = subject
        .runtime
        .container_status(&id, false)
        .await
        .expect_err("no container");
    assert!(error.is_not_found(), "{error}");
}
