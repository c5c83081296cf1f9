//! One pod as the runtime has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cri::{CallError, Runtime, v1};
use jiff::Timestamp;
use node::names;
use node::seen::{Container, Sandbox, State};

use crate::logs;

/// Most bytes of last words taken from a container's file.
///
/// Source: `pkg/kubelet/container`, `MaxContainerTerminationMessageLength`.
const LAST_WORDS_BYTES_MAX: usize = 4096;

/// What the runtime has of one pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    /// Sandboxes, newest first.
    pub(crate) sandboxes: Vec<Sandbox>,
    /// Containers, newest first.
    pub(crate) containers: Vec<Container>,
}

/// Looks at one pod again and again; what can no longer change is asked for once.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    ended: BTreeMap<String, Container>,
    addresses: BTreeMap<String, Vec<String>>,
}

impl Observer {
    /// Asks the runtime for everything that belongs to the pod.
    ///
    /// # Errors
    /// The runtime does not answer.
    pub(crate) async fn look(
        &mut self,
        runtime: &Runtime,
        uid: &str,
        logs_dir: &Path,
    ) -> Result<Picture, CallError> {
        let labels = [(names::POD_UID.to_owned(), uid.to_owned())];
        let sandbox_filter = v1::PodSandboxFilter {
            label_selector: labels.clone().into(),
            ..v1::PodSandboxFilter::default()
        };
        let container_filter = v1::ContainerFilter {
            label_selector: labels.into(),
            ..v1::ContainerFilter::default()
        };
        let sandboxes = runtime.list_pod_sandboxes(Some(sandbox_filter));
        let containers = runtime.list_containers(Some(container_filter));
        let (sandboxes, containers) = tokio::try_join!(sandboxes, containers)?;
        let mut picture = Picture::default();
        for one in sandboxes {
            picture.sandboxes.push(self.sandbox(runtime, one).await?);
        }
        let mut ids = BTreeSet::new();
        for one in containers {
            ids.insert(one.id.clone());
            picture
                .containers
                .extend(self.container(runtime, &one, logs_dir).await?);
        }
        self.ended.retain(|id, _| ids.contains(id));
        picture
            .sandboxes
            .sort_by_key(|one| std::cmp::Reverse((one.created_at, one.attempt)));
        picture
            .containers
            .sort_by_key(|one| std::cmp::Reverse((one.created_at, one.attempt)));
        Ok(picture)
    }

    async fn sandbox(
        &mut self,
        runtime: &Runtime,
        listed: v1::PodSandbox,
    ) -> Result<Sandbox, CallError> {
        let is_ready = listed.state() == v1::PodSandboxState::SandboxReady;
        if is_ready && !self.addresses.contains_key(&listed.id) {
            match runtime.pod_sandbox_status(&listed.id, false).await {
                Ok(answer) => {
                    let network = answer.status.and_then(|status| status.network);
                    self.addresses.insert(
                        listed.id.clone(),
                        network.map(addresses).unwrap_or_default(),
                    );
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Sandbox {
            attempt: listed.metadata.as_ref().map_or(0, |meta| meta.attempt),
            is_ready,
            ips: self.addresses.get(&listed.id).cloned().unwrap_or_default(),
            created_at: time(listed.created_at).unwrap_or_default(),
            id: listed.id,
        })
    }

    /// The container's state; `None` when it was removed just now.
    async fn container(
        &mut self,
        runtime: &Runtime,
        listed: &v1::Container,
        logs_dir: &Path,
    ) -> Result<Option<Container>, CallError> {
        if let Some(ended) = self.ended.get(&listed.id) {
            return Ok(Some(ended.clone()));
        }
        let status = match runtime.container_status(&listed.id, false).await {
            Ok(answer) => answer.status.unwrap_or_default(),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut container = translated(listed, &status);
        if container.state == State::Exited {
            let words = last_words(&status, logs_dir).await;
            container.message = match (container.message.is_empty(), words) {
                (true, words) => words,
                (false, words) if words.is_empty() => container.message,
                (false, words) => format!("{}: {words}", container.message),
            };
            self.ended.insert(container.id.clone(), container.clone());
        }
        Ok(Some(container))
    }
}

fn translated(listed: &v1::Container, status: &v1::ContainerStatus) -> Container {
    let annotation = |key: &str| status.annotations.get(key).cloned();
    let parsed = |key: &str| annotation(key)?.parse::<u32>().ok();
    let meta = status.metadata.clone().unwrap_or_default();
    let image = status.image.as_ref();
    let named = image.map(|image| image.image.clone()).unwrap_or_default();
    Container {
        id: status.id.clone(),
        name: status
            .labels
            .get(names::CONTAINER_NAME)
            .cloned()
            .unwrap_or(meta.name),
        sandbox_id: listed.pod_sandbox_id.clone(),
        attempt: parsed(names::RESTART_COUNT).unwrap_or(meta.attempt),
        state: match status.state() {
            v1::ContainerState::ContainerCreated => State::Created,
            v1::ContainerState::ContainerRunning => State::Running,
            v1::ContainerState::ContainerExited => State::Exited,
            v1::ContainerState::ContainerUnknown => State::Unknown,
        },
        created_at: time(status.created_at).unwrap_or_default(),
        started_at: time(status.started_at),
        finished_at: time(status.finished_at),
        exit_code: status.exit_code,
        reason: status.reason.clone(),
        message: status.message.clone(),
        image: named,
        image_ref: status.image_ref.clone(),
        spec_hash: annotation(names::CONTAINER_HASH),
        crashes: parsed(names::CRASHES),
        grace_seconds: annotation(names::POD_GRACE).and_then(|text| text.parse().ok()),
    }
}

fn addresses(network: v1::PodSandboxNetworkStatus) -> Vec<String> {
    let more = network.additional_ips.into_iter().map(|one| one.ip);
    let all = std::iter::once(network.ip).chain(more);
    all.filter(|ip| !ip.is_empty()).collect()
}

/// A time in nanoseconds; `None` for one that never was.
fn time(nanoseconds: i64) -> Option<Timestamp> {
    let moment = Timestamp::from_nanosecond(i128::from(nanoseconds)).ok();
    moment.filter(|_| nanoseconds > 0)
}

/// What a container left in its file, or, if it failed and its policy allows, at the end of its log.
///
/// Source: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `getTerminationMessage`.
async fn last_words(status: &v1::ContainerStatus, logs_dir: &Path) -> String {
    let annotation = |key: &str| status.annotations.get(key).map(String::as_str);
    let path = annotation(names::TERMINATION_PATH).unwrap_or_default();
    let mount = status
        .mounts
        .iter()
        .find(|mount| mount.container_path == path);
    if let Some(mount) = mount.filter(|_| !path.is_empty())
        && let Ok(mut bytes) = tokio::fs::read(&mount.host_path).await
    {
        bytes.truncate(LAST_WORDS_BYTES_MAX);
        if !bytes.is_empty() {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    let falls_back = annotation(names::TERMINATION_POLICY) == Some("FallbackToLogsOnError");
    if falls_back && status.exit_code != 0 && !status.log_path.is_empty() {
        return logs::last_lines(&logs_dir.join(&status.log_path)).await;
    }
    String::new()
}
