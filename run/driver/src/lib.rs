//! The one reconcile loop: watch, observe, decide, act; it also drives the scheduler.
//!
//! Invariants as absences: no decision about any kind is made here; nothing polls: with no change and no deadline
//! there is no work.

mod act;
pub mod certificates;
mod everything;
mod garbage;
mod metrics;
mod namespaces;
mod reconcile;
mod scheduling;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;

use client::{Elector, Informers, Recorder, Rest};
use controllers::Settings;
use controllers::cluster_role_aggregation::ClusterRoleAggregation;
use controllers::cron_job::CronJob;
use controllers::daemon_set::DaemonSet;
use controllers::deployment::Deployment;
use controllers::disruption::Disruption;
use controllers::endpoint_slice::EndpointSlice;
use controllers::endpoint_slice_mirroring::EndpointSliceMirroring;
use controllers::endpoints::Endpoints;
use controllers::event_ttl::EventTtl;
use controllers::flow_schema::FlowSchema;
use controllers::job::Job;
use controllers::kubernetes_service::KubernetesService;
use controllers::node_lifecycle::NodeLifecycle;
use controllers::pod_gc::PodGc;
use controllers::replica_set::{ReplicaSet, ReplicationController};
use controllers::root_ca::RootCa;
use controllers::service_account::ServiceAccount;
use controllers::service_address::ServiceAddress;
use controllers::service_cidr::ServiceCidr;
use controllers::stateful_set::StatefulSet;
use controllers::storage_protection::{PvProtection, PvcProtection, VacProtection};
use controllers::taint_eviction::TaintEviction;
use controllers::ttl_after_finished::TtlAfterFinished;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use metrics::Metrics;

use crate::reconcile::Shared;

/// Which parts run, and how.
#[derive(Clone)]
pub struct Options {
    /// Name of this process, for leases.
    pub identity: String,
    /// Whether to wait for leadership before working; needed only where several processes share an API server.
    pub elects_leader: bool,
    /// Whether to run the controllers.
    pub runs_controllers: bool,
    /// Whether to run the scheduler.
    pub runs_scheduler: bool,
    /// The cluster's CA certificates in PEM, published in every namespace; `None` publishes none.
    pub root_ca: Option<String>,
    /// Where others than this process reach the API server, published as the endpoints of the `kubernetes` Service;
    /// `None` publishes none.
    pub api_address: Option<SocketAddr>,
    /// Where what is done is counted.
    pub metrics: Metrics,
}

impl Options {
    /// Everything, at once: right for a cluster whose control plane is one process.
    pub fn single(identity: &str, metrics: Metrics) -> Self {
        Self {
            identity: identity.to_owned(),
            elects_leader: false,
            runs_controllers: true,
            runs_scheduler: true,
            root_ca: None,
            api_address: None,
            metrics,
        }
    }
}

/// Runs controllers and scheduler until `shutdown`.
pub async fn run(client: kube::Client, options: Options, shutdown: CancellationToken) {
    let informers = Informers::new(Rest::new(client), shutdown.clone());
    run_with(informers, options, shutdown).await;
}

/// As [`run`], with informers that the process shares.
pub async fn run_with(informers: Informers, options: Options, shutdown: CancellationToken) {
    let working = shutdown.child_token();
    let mut tasks = JoinSet::new();
    if options.elects_leader {
        let elector = Elector::new(
            informers.rest().clone(),
            "sampan-controllers",
            &options.identity,
        );
        if !elector.acquire(&shutdown).await {
            return;
        }
        let (lost, shutdown) = (working.clone(), shutdown.clone());
        tasks.spawn(async move {
            elector.keep(&shutdown).await;
            lost.cancel();
        });
    }
    let recorder = Recorder::new(informers.rest().clone(), "sampan", "", working.clone());
    let settings = Arc::new(Settings {
        watching_since: Timestamp::now(),
        root_ca: options.root_ca,
        api_address: options.api_address,
    });
    let shared = Arc::new(Shared {
        informers,
        recorder,
        settings,
        metrics: options.metrics,
        shutdown: working,
    });
    if options.runs_scheduler {
        tasks.spawn(scheduling::run(Arc::clone(&shared)));
    }
    if options.runs_controllers {
        spawn_controllers(&mut tasks, &shared);
    }
    while tasks.join_next().await.is_some() {}
    info!("controllers and scheduler stopped");
}

/// Starts every controller, with a queue of the name that it has upstream, where there is such a one.
fn spawn_controllers(tasks: &mut JoinSet<()>, shared: &Arc<Shared>) {
    reconcile::start::<Deployment>(tasks, shared, "deployment");
    reconcile::start::<ReplicaSet>(tasks, shared, "replicaset");
    reconcile::start::<ReplicationController>(tasks, shared, "replicationmanager");
    reconcile::start::<NodeLifecycle>(tasks, shared, "node_lifecycle_controller");
    reconcile::start::<TaintEviction>(tasks, shared, "noexec_taint_pod");
    reconcile::start::<PodGc>(tasks, shared, "orphaned_pods_nodes");
    reconcile::start::<ServiceAccount>(tasks, shared, "serviceaccount");
    reconcile::start::<RootCa>(tasks, shared, "root_ca_cert_publisher");
    reconcile::start::<ClusterRoleAggregation>(tasks, shared, "ClusterRoleAggregator");
    reconcile::start::<Job>(tasks, shared, "job");
    reconcile::start::<CronJob>(tasks, shared, "cronjob");
    reconcile::start::<DaemonSet>(tasks, shared, "daemonset");
    reconcile::start::<StatefulSet>(tasks, shared, "statefulset");
    reconcile::start::<PvcProtection>(tasks, shared, "pvcprotection");
    reconcile::start::<PvProtection>(tasks, shared, "pvprotection");
    reconcile::start::<VacProtection>(tasks, shared, "vacprotection");
    reconcile::start::<Disruption>(tasks, shared, "disruption");
    reconcile::start::<TtlAfterFinished>(tasks, shared, "ttl_jobs_to_delete");
    reconcile::start::<EndpointSlice>(tasks, shared, "endpoint_slice");
    reconcile::start::<EndpointSliceMirroring>(tasks, shared, "endpoint_slice_mirroring");
    reconcile::start::<Endpoints>(tasks, shared, "endpoint");
    reconcile::start::<ServiceAddress>(tasks, shared, "service_address");
    reconcile::start::<ServiceCidr>(tasks, shared, "service_cidr");
    reconcile::start::<EventTtl>(tasks, shared, "event_ttl");
    reconcile::start::<FlowSchema>(tasks, shared, "priority_and_fairness_config_queue");
    reconcile::start::<KubernetesService>(tasks, shared, "kubernetes_service");
    everything::start(tasks, shared);
}
