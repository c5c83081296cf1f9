//! The agent as a whole: what its tasks share, and how they start and end.

use std::path::Path;
use std::sync::Arc;

use client::recorder::{Note, Recorder};
use client::rest::Rest;
use cri::Runtime;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use node::events::{self, Event, Severity};
use node::pressure::Shortages;
use node::sandbox::{DnsFacts, SandboxFacts, parse_resolv_conf};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{KubeletConfig, KubeletError};
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::pods::Pods;
use crate::registration::RuntimeHealth;
use crate::sources::Sources;
use crate::{housekeeping, pods, registration, server};

/// What the tasks of the agent share.
pub(crate) struct Agent {
    pub(crate) config: KubeletConfig,
    pub(crate) client: kube::Client,
    pub(crate) runtime: Runtime,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) machine: Machine,
    pub(crate) pods: Pods,
    /// The node as the API server has it; `None` before it is known.
    pub(crate) node: watch::Sender<Option<Arc<Node>>>,
    pub(crate) sources: Sources,
    pub(crate) health: watch::Sender<RuntimeHealth>,
    pub(crate) shortages: watch::Sender<Shortages>,
    pub(crate) shutdown: CancellationToken,
    /// The HTTPS port that is really listened on.
    pub(crate) port: u16,
}

/// Runs the agent until `shutdown`; containers stay.
///
/// `client` speaks as `system:node:NAME` in group `system:nodes`.
///
/// # Errors
/// The agent cannot start; once it runs, it goes on whatever fails.
pub async fn run(
    config: KubeletConfig,
    client: kube::Client,
    runtime: Runtime,
    shutdown: CancellationToken,
) -> Result<(), KubeletError> {
    if config.node_ips.is_empty() {
        return Err(KubeletError::NoAddress);
    }
    for path in [config.pods_dir(), config.logs_dir.clone()] {
        let made = tokio::fs::create_dir_all(&path).await;
        made.map_err(|source| KubeletError::Directory { path, source })?;
    }
    let (listener, port) = listen(&config).await?;
    let recorder = Recorder::new(
        Rest::new(client.clone()),
        "kubelet",
        &config.node_name,
        shutdown.clone(),
    );
    let metrics = Metrics::new(&config.node_name);
    let agent = Arc::new(Agent {
        machine: Machine::read(&config.data_dir).await,
        pods: Pods::default(),
        node: watch::Sender::default(),
        sources: Sources::new(client.clone(), shutdown.clone()),
        health: watch::Sender::new(RuntimeHealth::unknown()),
        shortages: watch::Sender::new(Shortages::default()),
        config,
        client,
        runtime: runtime.with_observer(Arc::clone(&metrics.operations) as _),
        recorder,
        metrics,
        shutdown,
        port,
    });
    info!(node = agent.config.node_name, port, "node agent starts");
    agent.record_node(Event::normal(events::STARTING, "Starting kubelet."));
    let serving = server::serve(Arc::clone(&agent), listener)?;
    tokio::join!(
        serving,
        registration::keep(Arc::clone(&agent)),
        registration::follow(Arc::clone(&agent)),
        registration::keep_lease(Arc::clone(&agent)),
        registration::watch_runtime(Arc::clone(&agent)),
        pods::follow(Arc::clone(&agent)),
        pods::relist(Arc::clone(&agent)),
        housekeeping::keep(Arc::clone(&agent)),
    );
    Ok(())
}

async fn listen(config: &KubeletConfig) -> Result<(TcpListener, u16), KubeletError> {
    let (address, port) = (config.serving.address, config.serving.port);
    let failed = |source| KubeletError::Listen {
        address,
        port,
        source,
    };
    let listener = TcpListener::bind((address, port)).await.map_err(failed)?;
    let own = listener.local_addr().map_err(failed)?;
    Ok((listener, own.port()))
}

impl Agent {
    /// Records an event about a pod.
    pub(crate) fn record(&self, pod: &Pod, event: Event) {
        let meta = &pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        self.recorder.record(Note {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            namespace: text(&meta.namespace),
            name: text(&meta.name),
            uid: text(&meta.uid),
            resource_version: text(&meta.resource_version),
            field_path: event.field_path.unwrap_or_default(),
            is_warning: event.severity == Severity::Warning,
            reason: event.reason.into_owned(),
            message: event.message,
        });
    }

    /// Records an event about the node.
    pub(crate) fn record_node(&self, event: Event) {
        let name = self.config.node_name.clone();
        self.recorder.record(Note {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            // The node's name stands in for its uid, as everybody expects.
            uid: name.clone(),
            name,
            is_warning: event.severity == Severity::Warning,
            reason: event.reason.into_owned(),
            message: event.message,
            ..Note::default()
        });
    }

    /// Addresses of the node.
    pub(crate) fn host_ips(&self) -> Vec<String> {
        self.config
            .node_ips
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// What the node lends to its sandboxes.
    pub(crate) async fn sandbox_facts(&self) -> SandboxFacts {
        let resolv = tokio::fs::read_to_string(Path::new("/etc/resolv.conf")).await;
        let config = &self.config;
        SandboxFacts {
            dns: DnsFacts {
                cluster_servers: config.cluster_dns.iter().map(ToString::to_string).collect(),
                cluster_domain: config.cluster_domain.clone(),
                node: parse_resolv_conf(&resolv.unwrap_or_default()),
            },
            cgroup_root: config.cgroup_root.clone(),
        }
    }
}

/// The time, which only this layer may know.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
