//! What scrapers ask for. Source: `pkg/kubelet/server/server.go`, `InstallDefaultHandlers`.

use std::error::Error;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cri::v1::{ContainerState, PodSandboxState};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use tokio::fs::read_to_string;
use tracing::warn;

use crate::agent::Agent;
use crate::metrics::Inventory;
use crate::metrics::usage::{self, NodeUsage, Usage};

/// The agent itself.
pub(super) async fn own(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> Response {
    let (sandboxes, containers) = tokio::join!(
        agent.runtime.list_pod_sandboxes(None),
        agent.runtime.list_containers(None)
    );
    let inventory = match (sandboxes, containers) {
        (Ok(sandboxes), Ok(containers)) => {
            let is_running = |state: i32| state == PodSandboxState::SandboxReady as i32;
            let running = sandboxes.iter().filter(|one| is_running(one.state));
            let states = containers
                .iter()
                .map(|one| ContainerState::try_from(one.state));
            Some(Inventory {
                running_pods: running.count(),
                containers: states.filter_map(Result::ok).collect(),
            })
        }
        _ => None,
    };
    text(&headers, agent.metrics.render(inventory.as_ref()))
}

/// What pods and containers use, for metrics servers.
pub(super) async fn resource(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> Response {
    text(&headers, usage::resource(&read(&agent).await).text())
}

/// The same for dashboards, with the network.
pub(super) async fn cadvisor(State(agent): State<Arc<Agent>>, headers: HeaderMap) -> Response {
    text(&headers, usage::cadvisor(&read(&agent).await).text())
}

async fn read(agent: &Agent) -> Usage {
    let (containers, sandboxes, known, stat, meminfo) = tokio::join!(
        agent.runtime.list_container_stats(None),
        agent.runtime.list_pod_sandboxes(None),
        agent.runtime.list_containers(None),
        read_to_string("/proc/stat"),
        read_to_string("/proc/meminfo"),
    );
    let failures = [
        containers.as_ref().err(),
        sandboxes.as_ref().err(),
        known.as_ref().err(),
    ];
    for error in failures.into_iter().flatten() {
        warn!(error = error as &dyn Error, "cannot read what pods use");
    }
    let is_missing = failures.iter().any(Option::is_some);
    // Each alone: asked for all of them, some runtimes fail for one that has just ended.
    let sandboxes = sandboxes.unwrap_or_default();
    let running = sandboxes
        .iter()
        .filter(|one| one.state == PodSandboxState::SandboxReady as i32);
    let asked = running.map(|one| agent.runtime.pod_sandbox_stats(&one.id));
    let sandboxes = futures::future::join_all(asked).await;
    Usage {
        is_missing,
        sandboxes: sandboxes
            .into_iter()
            .filter_map(|stats| stats.ok().flatten())
            .collect(),
        containers: containers.unwrap_or_default(),
        known: known.unwrap_or_default(),
        node: NodeUsage::read(&stat.unwrap_or_default(), &meminfo.unwrap_or_default()),
        sandbox_image: agent.config.sandbox_image.clone(),
    }
}

fn text(headers: &HeaderMap, text: String) -> Response {
    let accept = headers.get(ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let media_type = scrape::media_type(accept.unwrap_or_default());
    ([(CONTENT_TYPE, media_type)], text).into_response()
}
