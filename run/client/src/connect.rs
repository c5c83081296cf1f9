//! Ways to an API server: in this process, or over HTTPS.

use std::path::Path;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::{BoxError, Service};

use crate::error::ClientError;

/// A client of a server in this process. `identity` travels as a request extension: the server trusts it because
/// no request from outside can carry one.
pub fn in_process<S, B, I>(service: S, identity: I) -> kube::Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    I: Clone + Send + Sync + 'static,
{
    in_process_as(service, identity, "sampan")
}

/// The same, under a user agent: the name that owns the fields it writes.
pub fn in_process_as<S, B, I>(service: S, identity: I, agent: &'static str) -> kube::Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    I: Clone + Send + Sync + 'static,
{
    let service = WithIdentity {
        service,
        identity,
        agent: HeaderValue::from_static(agent),
    };
    kube::Client::new(service, "default")
}

/// Adds an identity and a user agent to every request.
#[derive(Clone, Debug)]
struct WithIdentity<S, I> {
    service: S,
    identity: I,
    agent: HeaderValue,
}

impl<S, I> Service<Request<Body>> for WithIdentity<S, I>
where
    S: Service<Request<Body>>,
    I: Clone + Send + Sync + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }
    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.extensions_mut().insert(self.identity.clone());
        request
            .headers_mut()
            .entry(USER_AGENT)
            .or_insert_with(|| self.agent.clone());
        self.service.call(request)
    }
}

/// A client from a kubeconfig file; `None` reads `KUBECONFIG`, then `~/.kube/config`. `context` overrides the current one.
///
/// # Errors
/// The file cannot be read or names no usable cluster.
pub async fn from_kubeconfig(
    file: Option<&Path>,
    context: Option<&str>,
) -> Result<kube::Client, ClientError> {
    let kubeconfig = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.map_err(|error| ClientError::Kubeconfig(Box::new(error)))?;
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| ClientError::Kubeconfig(Box::new(error)))?;
    // A watch is silent for as long as nothing changes: only the server ends it.
    config.read_timeout = None;
    kube::Client::try_from(config).map_err(|error| ClientError::Kubeconfig(Box::new(error)))
}
