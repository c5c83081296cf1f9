//! One connection to a container runtime, with a method per CRI call.
//!
//! Methods are thin: they name the operation, bound the wait and unwrap the answer. Calls that CRI
//! declares idempotent (stop, remove) succeed when the runtime says `NotFound`.

mod containers;
mod images;
mod sandboxes;
mod stats;
mod streams;
mod tasks;

use std::{
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint, Uri},
};

use crate::{
    CallError,
    v1::{
        RuntimeConfigRequest, RuntimeConfigResponse, StatusRequest, StatusResponse, VersionRequest,
        VersionResponse, image_service_client::ImageServiceClient,
        runtime_service_client::RuntimeServiceClient,
    },
};

/// How long an answer is waited for unless the call or the caller says otherwise.
///
/// Source: Kubernetes, kubelet configuration, `runtimeRequestTimeout`.
pub const CALL_TIMEOUT: Duration = Duration::from_mins(2);

/// Largest message accepted from a runtime, in bytes.
///
/// Source: Kubernetes, `pkg/kubelet/cri/remote`, `maxMsgSize`.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// A connection to a container runtime; clones share it.
///
/// When the runtime restarts, the next call connects again.
#[derive(Clone, Debug)]
pub struct Runtime {
    socket: PathBuf,
    channel: Channel,
    calls: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    timeout: Duration,
    observer: Option<Arc<dyn Observer>>,
}

/// Who is told of every call.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A call was answered, or failed, by CRI's name for it.
    fn answered(&self, operation: &'static str, took: Duration, is_well: bool);
}

impl Runtime {
    /// Connects to the runtime that listens on a unix socket.
    ///
    /// # Errors
    /// [`CallError::Connect`] when nothing accepts a connection there.
    pub async fn connect(socket: &Path) -> Result<Self, CallError> {
        let path = socket.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(path).await?)) }
        });
        // The URI only fills the authority header; gRPC servers want one, and it is never resolved.
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|source| CallError::Connect {
                socket: socket.to_owned(),
                source,
            })?;
        Ok(Self {
            socket: socket.to_owned(),
            channel: channel.clone(),
            calls: RuntimeServiceClient::new(channel.clone())
                .max_decoding_message_size(MESSAGE_BYTES_MAX),
            images: ImageServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX),
            timeout: CALL_TIMEOUT,
            observer: None,
        })
    }

    /// The same connection, of whose calls somebody is told.
    #[must_use]
    pub fn with_observer(&self, observer: Arc<dyn Observer>) -> Self {
        Self {
            observer: Some(observer),
            ..self.clone()
        }
    }

    /// The same connection with another bound on each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The socket of the runtime.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks for the runtime's name and version.
    pub async fn version(&self) -> Result<VersionResponse, CallError> {
        let mut client = self.calls.clone();
        let request = VersionRequest {
            version: "0.1.0".to_owned(),
        };
        self.call("Version", self.timeout, client.version(request))
            .await
    }

    /// Asks whether runtime and network are ready; `verbose` adds the runtime's own details.
    pub async fn status(&self, verbose: bool) -> Result<StatusResponse, CallError> {
        let mut client = self.calls.clone();
        self.call(
            "Status",
            self.timeout,
            client.status(StatusRequest { verbose }),
        )
        .await
    }

    /// Asks for the runtime's configuration, such as its cgroup driver.
    ///
    /// # Errors
    /// `Unimplemented` from runtimes before containerd 2.0; use one's own configuration then.
    pub async fn runtime_config(&self) -> Result<RuntimeConfigResponse, CallError> {
        let mut client = self.calls.clone();
        self.call(
            "RuntimeConfig",
            self.timeout,
            client.runtime_config(RuntimeConfigRequest {}),
        )
        .await
    }

    /// Waits for one answer, for at most `timeout`.
    async fn call<T>(
        &self,
        operation: &'static str,
        timeout: Duration,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        let begun = Instant::now();
        let answer = match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(CallError::call(operation, &status)),
            Err(_) => Err(CallError::Timeout { operation, timeout }),
        };
        if let Some(observer) = &self.observer {
            observer.answered(operation, begun.elapsed(), answer.is_ok());
        }
        answer
    }
}

/// Takes "there is no such thing" as success, for calls whose aim is that it be gone.
fn gone_is_fine<T>(result: Result<T, CallError>) -> Result<(), CallError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Code::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
