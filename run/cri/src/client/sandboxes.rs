//! Pod sandbox calls.

use super::{Runtime, gone_is_fine};
use crate::{
    CallError,
    v1::{
        ListPodSandboxRequest, PodSandbox, PodSandboxConfig, PodSandboxFilter,
        PodSandboxStatusRequest, PodSandboxStatusResponse, RemovePodSandboxRequest,
        RunPodSandboxRequest, StopPodSandboxRequest,
    },
};

impl Runtime {
    /// Creates and starts a sandbox and gives its id; an empty handler means the runtime's default.
    ///
    /// Waits twice as long as other calls, since the network is set up on the way.
    pub async fn run_pod_sandbox(
        &self,
        config: PodSandboxConfig,
        runtime_handler: &str,
    ) -> Result<String, CallError> {
        let mut client = self.calls.clone();
        let request = RunPodSandboxRequest {
            config: Some(config),
            runtime_handler: runtime_handler.to_owned(),
        };
        let timeout = self.timeout * 2;
        // Boxed: the request is large, and callers hold this future.
        let answer = Box::pin(client.run_pod_sandbox(request));
        let answer = self.call("RunPodSandbox", timeout, answer).await?;
        Ok(answer.pod_sandbox_id)
    }

    /// Stops whatever runs in a sandbox and takes its network away.
    pub async fn stop_pod_sandbox(&self, id: &str) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = StopPodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        gone_is_fine(
            self.call(
                "StopPodSandbox",
                self.timeout,
                client.stop_pod_sandbox(request),
            )
            .await,
        )
    }

    /// Removes a sandbox and every container in it, by force if need be.
    pub async fn remove_pod_sandbox(&self, id: &str) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = RemovePodSandboxRequest {
            pod_sandbox_id: id.to_owned(),
        };
        let answer = client.remove_pod_sandbox(request);
        gone_is_fine(self.call("RemovePodSandbox", self.timeout, answer).await)
    }

    /// Asks for the state of a sandbox: addresses, namespaces, labels.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn pod_sandbox_status(
        &self,
        id: &str,
        verbose: bool,
    ) -> Result<PodSandboxStatusResponse, CallError> {
        let mut client = self.calls.clone();
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: id.to_owned(),
            verbose,
        };
        self.call(
            "PodSandboxStatus",
            self.timeout,
            client.pod_sandbox_status(request),
        )
        .await
    }

    /// Lists sandboxes; `None` means all of them.
    pub async fn list_pod_sandboxes(
        &self,
        filter: Option<PodSandboxFilter>,
    ) -> Result<Vec<PodSandbox>, CallError> {
        let mut client = self.calls.clone();
        let request = ListPodSandboxRequest { filter };
        let answer = self
            .call(
                "ListPodSandbox",
                self.timeout,
                client.list_pod_sandbox(request),
            )
            .await?;
        Ok(answer.items)
    }
}
