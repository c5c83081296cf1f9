//! The agent's HTTPS port.
//!
//! Source: `pkg/kubelet/server/server.go` (paths and parameters).

mod identity;
mod logs;
mod metrics;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get};
use http::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use crate::agent::Agent;
use crate::config::KubeletError;

/// Longest a client may take to show its certificate.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Most connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1000;

/// Answers on the port until the agent ends.
///
/// # Errors
/// The TLS configuration is not usable.
pub(crate) fn serve(
    agent: Arc<Agent>,
    listener: TcpListener,
) -> Result<impl Future<Output = ()>, KubeletError> {
    let tls = identity::tls(&agent.config.serving)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let router = router(Arc::clone(&agent));
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    Ok(async move {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let accepted = tokio::select! {
                () = agent.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (agent, acceptor) = (Arc::clone(&agent), acceptor.clone());
                    let router = router.clone();
                    tokio::spawn(async move {
                        connection(agent, acceptor, stream, router).await;
                        drop(place);
                    });
                }
                Err(error) => debug!(error = &error as &dyn std::error::Error, "cannot accept"),
            }
        }
    })
}

async fn connection(agent: Arc<Agent>, acceptor: TlsAcceptor, stream: TcpStream, router: Router) {
    let stream = match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            debug!(
                error = &error as &dyn std::error::Error,
                "TLS handshake failed"
            );
            return;
        }
        Err(_) => {
            debug!("TLS handshake took too long");
            return;
        }
    };
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().unwrap_or_default();
    let user = certificates.first().and_then(|one| identity::user(one));
    let is_allowed = user
        .as_ref()
        .is_some_and(|user| user.may_ask(&agent.config.serving));
    let router = if is_allowed {
        router
    } else {
        closed(user.is_some())
    };
    let service = TowerToHyperService::new(router);
    let builder = auto::Builder::new(TokioExecutor::new());
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::select! {
        () = agent.shutdown.cancelled() => {}
        served = serving => {
            if let Err(error) = served {
                debug!(error, "connection ended");
            }
        }
    }
}

/// For whoever may not ask: health alone.
fn closed(is_known: bool) -> Router {
    let refuse = move || async move {
        if is_known {
            (StatusCode::FORBIDDEN, "Forbidden")
        } else {
            (StatusCode::UNAUTHORIZED, "Unauthorized")
        }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .fallback(refuse)
}

fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/pods", get(pods))
        .route("/metrics", get(metrics::own))
        .route("/metrics/cadvisor", get(metrics::cadvisor))
        .route("/metrics/resource", get(metrics::resource))
        .route(
            "/containerLogs/{namespace}/{pod}/{container}",
            get(logs::container_logs),
        )
        .route("/exec/{namespace}/{pod}/{container}", any(streams::exec))
        .route(
            "/exec/{namespace}/{pod}/{uid}/{container}",
            any(streams::exec_with_uid),
        )
        .route(
            "/attach/{namespace}/{pod}/{container}",
            any(streams::attach),
        )
        .route(
            "/attach/{namespace}/{pod}/{uid}/{container}",
            any(streams::attach_with_uid),
        )
        .route("/portForward/{namespace}/{pod}", any(streams::port_forward))
        .route(
            "/portForward/{namespace}/{pod}/{uid}",
            any(streams::port_forward_with_uid),
        )
        .with_state(agent)
}

async fn pods(State(agent): State<Arc<Agent>>) -> Response {
    let items: Vec<_> = agent.pods.list().iter().map(|pod| json!(**pod)).collect();
    Json(json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items }))
        .into_response()
}

/// An answer that says what is wrong.
fn refusal(status: StatusCode, message: impl Into<String>) -> Response {
    (status, message.into()).into_response()
}
