//! Container calls.

use std::time::Duration;

use super::{Runtime, gone_is_fine};
use crate::{
    CallError,
    v1::{
        Container, ContainerConfig, ContainerFilter, ContainerStatusRequest,
        ContainerStatusResponse, CreateContainerRequest, ExecSyncRequest, ExecSyncResponse,
        LinuxContainerResources, ListContainersRequest, PodSandboxConfig, RemoveContainerRequest,
        ReopenContainerLogRequest, StartContainerRequest, StopContainerRequest,
        UpdateContainerResourcesRequest,
    },
};

impl Runtime {
    /// Creates a container in a sandbox, without starting it, and gives its id.
    ///
    /// `sandbox_config` must be the one the sandbox was run with.
    pub async fn create_container(
        &self,
        sandbox_id: &str,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
    ) -> Result<String, CallError> {
        let mut client = self.calls.clone();
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox_id.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        // Boxed: the request is by far the largest of all, and callers hold this future.
        let answer = Box::pin(client.create_container(request));
        let answer = self.call("CreateContainer", self.timeout, answer).await?;
        Ok(answer.container_id)
    }

    /// Starts a created container.
    pub async fn start_container(&self, id: &str) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = StartContainerRequest {
            container_id: id.to_owned(),
        };
        self.call(
            "StartContainer",
            self.timeout,
            client.start_container(request),
        )
        .await
        .map(|_| ())
    }

    /// Asks a container to end, and kills it when `grace` has passed.
    ///
    /// Whole seconds count; zero kills at once. Returns when the container has ended.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = StopContainerRequest {
            container_id: id.to_owned(),
            timeout: whole_seconds(grace),
        };
        let timeout = self.timeout + grace;
        gone_is_fine(
            self.call("StopContainer", timeout, client.stop_container(request))
                .await,
        )
    }

    /// Removes a container, by force if it still runs.
    pub async fn remove_container(&self, id: &str) -> Result<(), CallError> {
        match self.remove_container_once(id).await {
            Err(error) if error.is_failed_precondition() => {
                self.delete_task(id).await.map_err(|_| error)?;
                self.remove_container_once(id).await
            }
            removed => removed,
        }
    }

    async fn remove_container_once(&self, id: &str) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = RemoveContainerRequest {
            container_id: id.to_owned(),
        };
        gone_is_fine(
            self.call(
                "RemoveContainer",
                self.timeout,
                client.remove_container(request),
            )
            .await,
        )
    }

    /// Lists containers; `None` means all of them.
    pub async fn list_containers(
        &self,
        filter: Option<ContainerFilter>,
    ) -> Result<Vec<Container>, CallError> {
        let mut client = self.calls.clone();
        let request = ListContainersRequest { filter };
        let answer = self
            .call(
                "ListContainers",
                self.timeout,
                client.list_containers(request),
            )
            .await?;
        Ok(answer.containers)
    }

    /// Asks for the state of a container: times, exit code, reason, log path.
    ///
    /// # Errors
    /// `NotFound` when it does not exist.
    pub async fn container_status(
        &self,
        id: &str,
        verbose: bool,
    ) -> Result<ContainerStatusResponse, CallError> {
        let mut client = self.calls.clone();
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose,
        };
        self.call(
            "ContainerStatus",
            self.timeout,
            client.container_status(request),
        )
        .await
    }

    /// Changes the limits of a container.
    pub async fn update_container_resources(
        &self,
        id: &str,
        linux: LinuxContainerResources,
    ) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(linux),
            ..UpdateContainerResourcesRequest::default()
        };
        let answer = client.update_container_resources(request);
        self.call("UpdateContainerResources", self.timeout, answer)
            .await
            .map(|_| ())
    }

    /// Makes the runtime open the log file of a running container anew, after it was moved away.
    pub async fn reopen_container_log(&self, id: &str) -> Result<(), CallError> {
        let mut client = self.calls.clone();
        let request = ReopenContainerLogRequest {
            container_id: id.to_owned(),
        };
        let answer = client.reopen_container_log(request);
        self.call("ReopenContainerLog", self.timeout, answer)
            .await
            .map(|_| ())
    }

    /// Runs a command in a container and gives its output and exit code.
    ///
    /// `run_for_max` bounds the command in whole seconds; zero means no bound but that of the call.
    ///
    /// # Errors
    /// `DeadlineExceeded` when the command ran longer than `run_for_max`.
    pub async fn exec_sync(
        &self,
        id: &str,
        command: Vec<String>,
        run_for_max: Duration,
    ) -> Result<ExecSyncResponse, CallError> {
        let mut client = self.calls.clone();
        let request = ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: command,
            timeout: whole_seconds(run_for_max),
        };
        let timeout = self.timeout + run_for_max;
        self.call("ExecSync", timeout, client.exec_sync(request))
            .await
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
