//! The fake runtime's runtime service: sandboxes and containers.

use tonic::{Request, Response, Status};

use super::{EXIT_ON_TERM, Fake, FakeContainer, FakeSandbox, state::State};
use crate::v1::{
    Container, ContainerFilter, ContainerState, ContainerStatus, ContainerStatusRequest,
    ContainerStatusResponse, CreateContainerRequest, CreateContainerResponse, ExecSyncRequest,
    ExecSyncResponse, ImageSpec, ListContainersRequest, ListContainersResponse,
    ListPodSandboxRequest, ListPodSandboxResponse, NamespaceMode, NamespaceOption, PodSandbox,
    PodSandboxFilter, PodSandboxNetworkStatus, PodSandboxState, PodSandboxStatus,
    PodSandboxStatusRequest, PodSandboxStatusResponse, RemoveContainerRequest,
    RemoveContainerResponse, RemovePodSandboxRequest, RemovePodSandboxResponse,
    ReopenContainerLogRequest, ReopenContainerLogResponse, RunPodSandboxRequest,
    RunPodSandboxResponse, RuntimeCondition, RuntimeStatus, StartContainerRequest,
    StartContainerResponse, StatusRequest, StatusResponse, StopContainerRequest,
    StopContainerResponse, StopPodSandboxRequest, StopPodSandboxResponse,
    UpdateContainerResourcesRequest, UpdateContainerResourcesResponse, VersionRequest,
    VersionResponse, runtime_service_server::RuntimeService,
};

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RuntimeService for Fake {
    async fn version(&self, _: Request<VersionRequest>) -> Answer<VersionResponse> {
        Ok(Response::new(VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: "fake".to_owned(),
            runtime_version: "1.0.0".to_owned(),
            runtime_api_version: "v1".to_owned(),
        }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        self.lock().failure("Status")?;
        let condition = |name: &str| RuntimeCondition {
            r#type: name.to_owned(),
            status: true,
            ..RuntimeCondition::default()
        };
        let conditions = vec![condition("RuntimeReady"), condition("NetworkReady")];
        let status = Some(RuntimeStatus { conditions });
        Ok(Response::new(StatusResponse {
            status,
            ..StatusResponse::default()
        }))
    }

    async fn run_pod_sandbox(
        &self,
        request: Request<RunPodSandboxRequest>,
    ) -> Answer<RunPodSandboxResponse> {
        let config = request.into_inner().config;
        let config = config.ok_or_else(|| Status::invalid_argument("sandbox config is nil"))?;
        self.change(|state| {
            let metadata = config.metadata.clone().unwrap_or_default();
            state.begin(
                "RunPodSandbox",
                &format!("{}/{}", metadata.namespace, metadata.name),
            )?;
            let number = state.count();
            let pod_sandbox_id = format!("{number:064x}");
            let options = config
                .linux
                .as_ref()
                .and_then(|linux| linux.security_context.as_ref());
            let network = options
                .and_then(|o| o.namespace_options.as_ref())
                .map(NamespaceOption::network);
            let ip = match network {
                Some(NamespaceMode::Node) => String::new(),
                _ => format!("10.88.{}.{}", number / 250 % 256, number % 250 + 2),
            };
            let created_at = state.now();
            let ready = PodSandboxState::SandboxReady;
            let sandbox = FakeSandbox {
                config,
                state: ready,
                ip,
                created_at,
            };
            state.sandboxes.insert(pod_sandbox_id.clone(), sandbox);
            Ok(Response::new(RunPodSandboxResponse { pod_sandbox_id }))
        })
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<StopPodSandboxRequest>,
    ) -> Answer<StopPodSandboxResponse> {
        let id = request.into_inner().pod_sandbox_id;
        self.change(|state| {
            state.begin("StopPodSandbox", &state.pod_name(&id))?;
            state.stop_sandbox(&id);
            Ok(Response::new(StopPodSandboxResponse {}))
        })
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<RemovePodSandboxRequest>,
    ) -> Answer<RemovePodSandboxResponse> {
        let id = request.into_inner().pod_sandbox_id;
        self.change(|state| {
            state.begin("RemovePodSandbox", &state.pod_name(&id))?;
            state
                .containers
                .retain(|_, container| container.sandbox != id);
            state.sandboxes.remove(&id);
            Ok(Response::new(RemovePodSandboxResponse {}))
        })
    }

    async fn pod_sandbox_status(
        &self,
        request: Request<PodSandboxStatusRequest>,
    ) -> Answer<PodSandboxStatusResponse> {
        let id = request.into_inner().pod_sandbox_id;
        let mut state = self.lock();
        state.failure("PodSandboxStatus")?;
        let sandbox = state
            .sandboxes
            .get(&id)
            .ok_or_else(|| missing("sandbox", &id))?;
        let status = PodSandboxStatus {
            id,
            metadata: sandbox.config.metadata.clone(),
            state: sandbox.state.into(),
            created_at: sandbox.created_at,
            network: Some(PodSandboxNetworkStatus {
                ip: sandbox.ip.clone(),
                ..PodSandboxNetworkStatus::default()
            }),
            labels: sandbox.config.labels.clone(),
            annotations: sandbox.config.annotations.clone(),
            ..PodSandboxStatus::default()
        };
        let status = Some(status);
        Ok(Response::new(PodSandboxStatusResponse {
            status,
            ..PodSandboxStatusResponse::default()
        }))
    }

    async fn list_pod_sandbox(
        &self,
        request: Request<ListPodSandboxRequest>,
    ) -> Answer<ListPodSandboxResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let mut state = self.lock();
        state.failure("ListPodSandbox")?;
        let chosen = state
            .sandboxes
            .iter()
            .filter(|(id, sandbox)| wants_sandbox(&filter, id, sandbox));
        let items = chosen.map(|(id, sandbox)| PodSandbox {
            id: id.clone(),
            metadata: sandbox.config.metadata.clone(),
            state: sandbox.state.into(),
            created_at: sandbox.created_at,
            labels: sandbox.config.labels.clone(),
            annotations: sandbox.config.annotations.clone(),
            ..PodSandbox::default()
        });
        Ok(Response::new(ListPodSandboxResponse {
            items: items.collect(),
        }))
    }

    async fn create_container(
        &self,
        request: Request<CreateContainerRequest>,
    ) -> Answer<CreateContainerResponse> {
        let CreateContainerRequest {
            pod_sandbox_id,
            config,
            ..
        } = request.into_inner();
        let config = config.ok_or_else(|| Status::invalid_argument("container config is nil"))?;
        self.change(|state| {
            let name = config.metadata.clone().unwrap_or_default().name;
            state.begin("CreateContainer", &name)?;
            if !state.sandboxes.contains_key(&pod_sandbox_id) {
                return Err(missing("sandbox", &pod_sandbox_id));
            }
            let image = config.image.clone().unwrap_or_default().image;
            if state.image(&image).is_none() {
                return Err(missing("image", &image));
            }
            let container_id = format!("{:064x}", state.count());
            let container = FakeContainer {
                config,
                sandbox: pod_sandbox_id,
                state: ContainerState::ContainerCreated,
                created_at: state.now(),
                started_at: 0,
                finished_at: 0,
                exit_code: 0,
                reason: String::new(),
            };
            state.containers.insert(container_id.clone(), container);
            Ok(Response::new(CreateContainerResponse { container_id }))
        })
    }

    async fn start_container(
        &self,
        request: Request<StartContainerRequest>,
    ) -> Answer<StartContainerResponse> {
        let id = request.into_inner().container_id;
        self.change(|state| {
            let began = state.begin("StartContainer", &state.container_name(&id));
            let now = state.now();
            let container = state
                .containers
                .get_mut(&id)
                .ok_or_else(|| missing("container", &id))?;
            if let Err(status) = began {
                // As containerd leaves it behind.
                container.end(128, "StartError", now);
                return Err(status);
            }
            if container.state != ContainerState::ContainerCreated {
                let text = format!("container is in {} state", container.state.as_str_name());
                return Err(Status::unknown(text));
            }
            container.state = ContainerState::ContainerRunning;
            container.started_at = now;
            if let Some(code) = container.scripted_exit() {
                container.end(code, if code == 0 { "Completed" } else { "Error" }, now + 1);
            }
            Ok(Response::new(StartContainerResponse {}))
        })
    }

    async fn stop_container(
        &self,
        request: Request<StopContainerRequest>,
    ) -> Answer<StopContainerResponse> {
        let id = request.into_inner().container_id;
        self.change(|state| {
            state.begin("StopContainer", &state.container_name(&id))?;
            let now = state.now();
            if let Some(container) = state.containers.get_mut(&id) {
                stop(container, now);
            }
            Ok(Response::new(StopContainerResponse {}))
        })
    }

    async fn remove_container(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Answer<RemoveContainerResponse> {
        let id = request.into_inner().container_id;
        self.change(|state| {
            state.begin("RemoveContainer", &state.container_name(&id))?;
            state.containers.remove(&id);
            Ok(Response::new(RemoveContainerResponse {}))
        })
    }

    async fn list_containers(
        &self,
        request: Request<ListContainersRequest>,
    ) -> Answer<ListContainersResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let mut state = self.lock();
        state.failure("ListContainers")?;
        let chosen = state
            .containers
            .iter()
            .filter(|(id, container)| wants_container(&filter, id, container));
        let containers = chosen.map(|(id, container)| Container {
            id: id.clone(),
            pod_sandbox_id: container.sandbox.clone(),
            metadata: container.config.metadata.clone(),
            image: container.config.image.clone(),
            image_ref: image_ref(&state, container),
            state: container.state.into(),
            created_at: container.created_at,
            labels: container.config.labels.clone(),
            annotations: container.config.annotations.clone(),
            ..Container::default()
        });
        Ok(Response::new(ListContainersResponse {
            containers: containers.collect(),
        }))
    }

    async fn container_status(
        &self,
        request: Request<ContainerStatusRequest>,
    ) -> Answer<ContainerStatusResponse> {
        let id = request.into_inner().container_id;
        let mut state = self.lock();
        state.failure("ContainerStatus")?;
        let container = state
            .containers
            .get(&id)
            .ok_or_else(|| missing("container", &id))?;
        let image_ref = image_ref(&state, container);
        let log_directory = state
            .sandboxes
            .get(&container.sandbox)
            .map(|sandbox| &*sandbox.config.log_directory);
        let log_path = [
            log_directory.unwrap_or_default(),
            &container.config.log_path,
        ]
        .join("/");
        let status = ContainerStatus {
            id,
            metadata: container.config.metadata.clone(),
            state: container.state.into(),
            created_at: container.created_at,
            started_at: container.started_at,
            finished_at: container.finished_at,
            exit_code: container.exit_code,
            image: container
                .config
                .image
                .clone()
                .map(|image| ImageSpec { ..image }),
            image_ref,
            reason: container.reason.clone(),
            labels: container.config.labels.clone(),
            annotations: container.config.annotations.clone(),
            mounts: container.config.mounts.clone(),
            log_path,
            ..ContainerStatus::default()
        };
        let status = Some(status);
        Ok(Response::new(ContainerStatusResponse {
            status,
            ..ContainerStatusResponse::default()
        }))
    }

    async fn exec_sync(&self, request: Request<ExecSyncRequest>) -> Answer<ExecSyncResponse> {
        let id = request.into_inner().container_id;
        let mut state = self.lock();
        state.failure("ExecSync")?;
        let container = state
            .containers
            .get(&id)
            .ok_or_else(|| missing("container", &id))?;
        if container.state != ContainerState::ContainerRunning {
            return Err(Status::unknown("container is not running"));
        }
        let answer = state.execs.get(container.name()).cloned();
        Ok(Response::new(answer.unwrap_or_default()))
    }

    async fn update_container_resources(
        &self,
        request: Request<UpdateContainerResourcesRequest>,
    ) -> Answer<UpdateContainerResourcesResponse> {
        let UpdateContainerResourcesRequest {
            container_id,
            linux,
            ..
        } = request.into_inner();
        self.change(|state| {
            state.begin(
                "UpdateContainerResources",
                &state.container_name(&container_id),
            )?;
            let container = state.containers.get_mut(&container_id);
            let container = container.ok_or_else(|| missing("container", &container_id))?;
            container.config.linux.get_or_insert_default().resources = linux;
            Ok(Response::new(UpdateContainerResourcesResponse {}))
        })
    }

    async fn reopen_container_log(
        &self,
        request: Request<ReopenContainerLogRequest>,
    ) -> Answer<ReopenContainerLogResponse> {
        let id = request.into_inner().container_id;
        self.change(|state| {
            state.begin("ReopenContainerLog", &state.container_name(&id))?;
            Ok(Response::new(ReopenContainerLogResponse {}))
        })
    }
}

impl State {
    fn pod_name(&self, id: &str) -> String {
        let metadata = self
            .sandboxes
            .get(id)
            .and_then(|sandbox| sandbox.config.metadata.as_ref());
        metadata.map_or_else(
            || id.to_owned(),
            |it| format!("{}/{}", it.namespace, it.name),
        )
    }

    fn container_name(&self, id: &str) -> String {
        self.containers
            .get(id)
            .map_or(id, FakeContainer::name)
            .to_owned()
    }

    fn stop_sandbox(&mut self, id: &str) {
        let now = self.now();
        for container in self
            .containers
            .values_mut()
            .filter(|container| container.sandbox == id)
        {
            stop(container, now);
        }
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            sandbox.state = PodSandboxState::SandboxNotready;
        }
    }
}

fn stop(container: &mut FakeContainer, now: i64) {
    if container.state == ContainerState::ContainerRunning {
        container.end(EXIT_ON_TERM, "Error", now);
    }
}

fn image_ref(state: &State, container: &FakeContainer) -> String {
    let reference = container
        .config
        .image
        .as_ref()
        .map_or("", |image| &image.image);
    state
        .image(reference)
        .map(|image| image.id.clone())
        .unwrap_or_default()
}

fn wants_sandbox(filter: &PodSandboxFilter, id: &str, sandbox: &FakeSandbox) -> bool {
    let state = filter
        .state
        .is_none_or(|wanted| wanted.state() == sandbox.state);
    let mut labels = filter.label_selector.iter();
    state
        && (filter.id.is_empty() || id.starts_with(&filter.id))
        && labels.all(|(name, value)| sandbox.config.labels.get(name) == Some(value))
}

fn wants_container(filter: &ContainerFilter, id: &str, container: &FakeContainer) -> bool {
    let state = filter
        .state
        .is_none_or(|wanted| wanted.state() == container.state);
    let mut labels = filter.label_selector.iter();
    state
        && (filter.id.is_empty() || id.starts_with(&filter.id))
        && (filter.pod_sandbox_id.is_empty()
            || container.sandbox.starts_with(&filter.pod_sandbox_id))
        && labels.all(|(name, value)| container.config.labels.get(name) == Some(value))
}

fn missing(what: &str, id: &str) -> Status {
    Status::not_found(format!(
        "an error occurred when try to find {what} {id:?}: not found"
    ))
}
