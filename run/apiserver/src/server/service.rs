//! The server as a service, for connections and for the inside of the process.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use http::{Request, Response};

use super::ApiServer;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl tower::Service<Request<Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<Body>) -> Answering {
        let server = self.clone();
        Box::pin(async move { Ok(server.handle(request).await) })
    }
}

/// Takes requests without a socket, whatever their body; a `kube::Client` can be built on it.
#[derive(Clone)]
pub struct InProcess {
    pub(super) server: ApiServer,
}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<B>) -> Answering {
        let server = self.server.clone();
        Box::pin(async move {
            let (begun, method) = (Instant::now(), request.method().clone());
            let response = server.handle(request.map(Body::new)).await;
            let clients = &server.metrics().clients;
            clients.answered(&method, response.status().as_u16(), begun.elapsed());
            Ok(response)
        })
    }
}
