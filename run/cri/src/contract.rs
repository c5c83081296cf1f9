//! The suite every runtime passes, real or fake: what the kubelet relies on.
//!
//! Failures panic with the broken claim, so this is for tests only (feature `contract`). Every case
//! makes a pod of its own and removes it; a failed one leaves that to whoever owns the runtime.

mod containers;
mod images;
mod sandboxes;

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{
    Runtime,
    v1::{
        ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ImageSpec,
        LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig, NamespaceMode,
        NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    },
};

/// Longest wait for a container to end by itself.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A runtime under test.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The runtime.
    pub runtime: Runtime,
    /// An image that is on the node and has a shell.
    pub image: String,
    /// Where containers may log to.
    pub log_dir: PathBuf,
    /// The cgroup below which pods may live.
    pub cgroup_root: String,
}

/// One case of the suite.
pub type Case = fn(Subject) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |subject| Box::pin($module::$name(subject)))),*]
    };
}

/// Every case with the claim it checks.
pub const CASES: &[(&str, Case)] = cases![
    sandboxes::a_runtime_says_who_and_how_it_is,
    sandboxes::a_sandbox_has_an_address_and_keeps_its_labels,
    sandboxes::sandboxes_are_listed_by_label_state_and_id,
    sandboxes::stopping_and_removing_a_sandbox_can_be_repeated,
    sandboxes::what_does_not_exist_is_not_found_and_gone_already,
    sandboxes::removing_a_sandbox_removes_its_containers,
    containers::a_container_goes_from_created_to_running_to_exited,
    containers::an_exit_code_is_kept_with_its_reason,
    containers::a_stopped_container_can_be_stopped_again,
    containers::a_running_container_can_be_removed,
    containers::containers_are_listed_by_sandbox_and_state,
    containers::a_container_needs_a_sandbox_and_an_image,
    containers::commands_run_only_in_running_containers,
    images::an_image_is_found_by_name_and_by_id,
    images::a_missing_image_is_no_error_to_look_for_or_remove,
    images::a_malformed_reference_cannot_be_pulled,
];

impl Subject {
    /// A sandbox configuration that no other case uses.
    fn sandbox(&self) -> PodSandboxConfig {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let uid = format!("contract-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: uid.clone(),
                uid: uid.clone(),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            hostname: uid.clone(),
            log_directory: self.log_dir.join(&uid).display().to_string(),
            labels: HashMap::from([("case".to_owned(), uid.clone())]),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("{}/pod{uid}", self.cgroup_root),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        }
    }

    /// A container that runs a script and ends at once when told to.
    fn container(&self, name: &str, script: &str) -> ContainerConfig {
        let own_processes = NamespaceOption {
            pid: NamespaceMode::Container.into(),
            ..NamespaceOption::default()
        };
        ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: name.to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: self.image.clone(),
                ..ImageSpec::default()
            }),
            command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            log_path: format!("{name}.log"),
            labels: HashMap::from([("name".to_owned(), name.to_owned())]),
            linux: Some(LinuxContainerConfig {
                security_context: Some(LinuxContainerSecurityContext {
                    namespace_options: Some(own_processes),
                    ..LinuxContainerSecurityContext::default()
                }),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        }
    }

    /// Runs a sandbox and gives its id and configuration.
    async fn run_sandbox(&self) -> (String, PodSandboxConfig) {
        let config = self.sandbox();
        std::fs::create_dir_all(&config.log_directory).expect("the log directory can be made");
        let id = self.runtime.run_pod_sandbox(config.clone(), "").await;
        (id.expect("a sandbox runs"), config)
    }

    /// Creates a container and gives its id.
    async fn create(
        &self,
        sandbox: &(String, PodSandboxConfig),
        container: ContainerConfig,
    ) -> String {
        let (id, config) = sandbox;
        let created = self
            .runtime
            .create_container(id, container, config.clone())
            .await;
        created.expect("a container is created")
    }

    async fn start(&self, id: &str) {
        self.runtime
            .start_container(id)
            .await
            .expect("a container starts");
    }

    async fn status(&self, id: &str) -> ContainerStatus {
        let answer = self
            .runtime
            .container_status(id, false)
            .await
            .expect("a status");
        answer.status.expect("a status in the answer")
    }

    /// Waits until a container has ended by itself.
    async fn ended(&self, id: &str) -> ContainerStatus {
        let ended = async {
            loop {
                let status = self.status(id).await;
                if status.state() == ContainerState::ContainerExited {
                    return status;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, ended)
            .await
            .expect("the container ends")
    }

    async fn remove(&self, sandbox: &str) {
        self.runtime
            .stop_pod_sandbox(sandbox)
            .await
            .expect("a sandbox is stopped");
        self.runtime
            .remove_pod_sandbox(sandbox)
            .await
            .expect("a sandbox is removed");
    }
}

/// Runs for as long as it is let, and ends when told to.
const FOREVER: &str = "trap 'exit 143' TERM; while true; do sleep 1; done";
