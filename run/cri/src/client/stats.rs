//! Resource usage calls, and the event stream.

use tonic::Streaming;

use super::Runtime;
use crate::{
    CallError,
    v1::{
        ContainerEventResponse, ContainerStats, ContainerStatsFilter, ContainerStatsRequest,
        GetEventsRequest, ListContainerStatsRequest, ListPodSandboxStatsRequest, PodSandboxStats,
        PodSandboxStatsFilter, PodSandboxStatsRequest,
    },
};

impl Runtime {
    /// Asks what one container uses; `None` when the runtime has no figures for it.
    pub async fn container_stats(&self, id: &str) -> Result<Option<ContainerStats>, CallError> {
        let mut client = self.calls.clone();
        let request = ContainerStatsRequest {
            container_id: id.to_owned(),
        };
        let answer = self
            .call(
                "ContainerStats",
                self.timeout,
                client.container_stats(request),
            )
            .await?;
        Ok(answer.stats)
    }

    /// Asks what running containers use; `None` means all of them.
    pub async fn list_container_stats(
        &self,
        filter: Option<ContainerStatsFilter>,
    ) -> Result<Vec<ContainerStats>, CallError> {
        let mut client = self.calls.clone();
        let answer = client.list_container_stats(ListContainerStatsRequest { filter });
        Ok(self
            .call("ListContainerStats", self.timeout, answer)
            .await?
            .stats)
    }

    /// Asks what one sandbox uses; `None` when the runtime has no figures for it.
    pub async fn pod_sandbox_stats(&self, id: &str) -> Result<Option<PodSandboxStats>, CallError> {
        let mut client = self.calls.clone();
        let answer = client.pod_sandbox_stats(PodSandboxStatsRequest {
            pod_sandbox_id: id.to_owned(),
        });
        Ok(self
            .call("PodSandboxStats", self.timeout, answer)
            .await?
            .stats)
    }

    /// Asks what sandboxes use; `None` means all of them.
    pub async fn list_pod_sandbox_stats(
        &self,
        filter: Option<PodSandboxStatsFilter>,
    ) -> Result<Vec<PodSandboxStats>, CallError> {
        let mut client = self.calls.clone();
        let answer = client.list_pod_sandbox_stats(ListPodSandboxStatsRequest { filter });
        Ok(self
            .call("ListPodSandboxStats", self.timeout, answer)
            .await?
            .stats)
    }

    /// Follows what happens to containers from now on.
    ///
    /// # Errors
    /// `Unimplemented` from runtimes before containerd 1.7; list containers at intervals then.
    pub async fn container_events(&self) -> Result<Streaming<ContainerEventResponse>, CallError> {
        let mut client = self.calls.clone();
        let answer = client.get_container_events(GetEventsRequest {});
        self.call("GetContainerEvents", self.timeout, answer).await
    }
}
