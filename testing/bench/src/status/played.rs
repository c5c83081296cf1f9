//! An API server that has one large picture: Deployments, their `ReplicaSets` and pods, and nodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use meta::ObjectExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

/// Pods of each Deployment.
const PODS_EACH: usize = 10;
/// Nodes of the cluster.
const NODES: usize = 1_000;
/// Namespaces of the cluster.
const NAMESPACES: usize = 100;
/// Changes that wait for a slow watcher.
const EVENTS_MAX: usize = 1024;
/// Longest wait for the first watch of pods.
const WATCH_WAIT: Duration = Duration::from_mins(1);

/// The server; ends when dropped.
pub(super) struct Cluster {
    serving: tokio::task::JoinHandle<()>,
    shared: Arc<Shared>,
    watched: watch::Receiver<bool>,
    directory: TempDir,
}

struct Shared {
    /// Bodies of the discovery documents, by path.
    documents: BTreeMap<&'static str, Value>,
    /// Items of the collections, encoded, by path.
    collections: BTreeMap<&'static str, Vec<String>>,
    changes: broadcast::Sender<String>,
    is_watched: watch::Sender<bool>,
    revision: Mutex<u64>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The name of a Deployment; names sort like numbers.
pub(super) fn deployment_name(index: usize) -> String {
    format!("web-{index:05}")
}

impl Cluster {
    /// A cluster of so many Deployments.
    pub(super) async fn start(workloads: usize) -> Result<Self> {
        let (is_watched, watched) = watch::channel(false);
        let shared = Arc::new(Shared {
            documents: documents(),
            collections: collections(workloads),
            changes: broadcast::channel(EVENTS_MAX).0,
            is_watched,
            revision: Mutex::new(1_000_000),
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("no free port")?;
        let address = listener.local_addr().context("no address")?;
        let app = Router::new()
            .fallback(
                |State(shared): State<Arc<Shared>>,
                 uri: Uri,
                 Query(query): Query<BTreeMap<String, String>>| async move {
                    answer(&shared, &uri, &query)
                },
            )
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the played cluster ended"
                );
            }
        });
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "current-context": "played",
            "clusters": [{"name": "played", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "played", "user": {}}],
            "contexts": [{"name": "played", "context": {"cluster": "played", "user": "played"}}]});
        std::fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string())
            .context("cannot write the kubeconfig")?;
        Ok(Self {
            serving,
            shared,
            watched,
            directory,
        })
    }

    /// The way to it.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        Path::join(self.directory.path(), "kubeconfig")
    }

    /// Waits until somebody watches the pods.
    pub(super) async fn watched(&self) -> Result<()> {
        let mut watched = self.watched.clone();
        let is_watched = watched.wait_for(|is_watched| *is_watched);
        tokio::time::timeout(WATCH_WAIT, is_watched)
            .await
            .context("nobody watches the pods")?
            .context("the played cluster is gone")?;
        Ok(())
    }

    /// The first pod of a Deployment can no longer pull its image.
    pub(super) fn break_pod(&self, workload: usize) -> Result<()> {
        let mut object = pod(workload, 0);
        let status = json!({"phase": "Pending", "containerStatuses": [{"name": "app", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff",
                "message": "Back-off pulling image: ErrImagePull: manifest unknown"}}}]});
        let revision = {
            let mut revision = self
                .shared
                .revision
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *revision += 1;
            *revision
        };
        object.set(&["status"], status);
        object.set(
            &["metadata", "resourceVersion"],
            revision.to_string().into(),
        );
        let event = json!({"type": "MODIFIED", "object": object});
        self.shared
            .changes
            .send(format!("{event}\n"))
            .context("nobody watches the pods")?;
        Ok(())
    }
}

fn answer(shared: &Shared, uri: &Uri, query: &BTreeMap<String, String>) -> Response {
    let path = uri.path();
    if query.get("watch").is_some_and(|asked| asked == "true") {
        return watching(shared, path);
    }
    if let Some(document) = shared.documents.get(path) {
        return document.to_string().into_response();
    }
    match shared.collections.get(path) {
        Some(items) => page(items, query).into_response(),
        None => (StatusCode::NOT_FOUND, "{}").into_response(),
    }
}

fn page(items: &[String], query: &BTreeMap<String, String>) -> String {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let from = number("continue").unwrap_or(0);
    let limit = number("limit").unwrap_or(items.len());
    let shown = items.get(from..).unwrap_or_default();
    let shown = shown.get(..limit).unwrap_or(shown);
    let next = from + shown.len();
    let token = if next < items.len() {
        next.to_string()
    } else {
        String::new()
    };
    format!(
        r#"{{"kind":"List","apiVersion":"v1","metadata":{{"resourceVersion":"1000000","continue":"{token}"}},"items":[{}]}}"#,
        shown.join(",")
    )
}

/// Watches of pods are told the changes; the others stay quiet.
fn watching(shared: &Shared, path: &str) -> Response {
    let is_pods = path == "/api/v1/pods";
    let changes = shared.changes.subscribe();
    if is_pods {
        shared.is_watched.send_replace(true);
    }
    let lines = futures::stream::unfold(changes, move |mut changes| async move {
        loop {
            match changes.recv().await {
                Ok(line) if is_pods => {
                    return Some((Ok::<_, std::convert::Infallible>(line), changes));
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    Body::from_stream(lines).into_response()
}

fn documents() -> BTreeMap<&'static str, Value> {
    let resource = |plural: &str, kind: &str, is_namespaced: bool| {
        json!({"name": plural, "singularName": kind.to_lowercase(), "kind": kind, "namespaced": is_namespaced,
            "verbs": ["get", "list", "watch"]})
    };
    BTreeMap::from([
        (
            "/apis",
            json!({"groups": [{"name": "apps", "preferredVersion": {"groupVersion": "apps/v1"}}]}),
        ),
        (
            "/api/v1",
            json!({"resources": [resource("pods", "Pod", true), resource("nodes", "Node", false),
                resource("events", "Event", true)]}),
        ),
        (
            "/apis/apps/v1",
            json!({"resources": [resource("deployments", "Deployment", true),
                resource("replicasets", "ReplicaSet", true)]}),
        ),
    ])
}

fn collections(workloads: usize) -> BTreeMap<&'static str, Vec<String>> {
    let each = |make: fn(usize) -> Value| (0..workloads).map(move |index| make(index).to_string());
    let pods = (0..workloads)
        .flat_map(|workload| (0..PODS_EACH).map(move |number| pod(workload, number).to_string()));
    BTreeMap::from([
        ("/apis/apps/v1/deployments", each(deployment).collect()),
        ("/apis/apps/v1/replicasets", each(replica_set).collect()),
        ("/api/v1/pods", pods.collect()),
        (
            "/api/v1/nodes",
            (0..NODES).map(|index| node(index).to_string()).collect(),
        ),
        ("/api/v1/events", Vec::new()),
    ])
}

fn metadata(index: usize, name: &str, owner: Option<(&str, String)>) -> Value {
    let owners: Vec<Value> = owner
        .into_iter()
        .map(|(kind, name)| {
            json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true})
        })
        .collect();
    json!({"name": name, "namespace": format!("team-{:02}", index / (10_000 / NAMESPACES)), "uid": name,
        "generation": 1, "resourceVersion": "7", "creationTimestamp": "2026-01-15T10:00:00Z",
        "labels": {"app": deployment_name(index), "pod-template-hash": "6d4cf56db6"},
        "ownerReferences": owners})
}

fn deployment(index: usize) -> Value {
    let conditions = json!([
        {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable",
         "lastTransitionTime": "2026-01-15T10:00:10Z", "message": "Deployment has minimum availability."},
        {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
         "lastUpdateTime": "2026-01-15T10:00:10Z", "message": "ReplicaSet has successfully progressed."}]);
    json!({"metadata": metadata(index, &deployment_name(index), None),
        "spec": {"replicas": PODS_EACH, "selector": {"matchLabels": {"app": deployment_name(index)}},
            "template": {"metadata": {"labels": {"app": deployment_name(index)}}, "spec": template()}},
        "status": {"observedGeneration": 1, "replicas": PODS_EACH, "updatedReplicas": PODS_EACH,
            "readyReplicas": PODS_EACH, "availableReplicas": PODS_EACH, "conditions": conditions}})
}

fn replica_set(index: usize) -> Value {
    let name = format!("{}-6d4cf56db6", deployment_name(index));
    json!({"metadata": metadata(index, &name, Some(("Deployment", deployment_name(index)))),
        "spec": {"replicas": PODS_EACH, "template": {"spec": template()}},
        "status": {"observedGeneration": 1, "replicas": PODS_EACH, "readyReplicas": PODS_EACH,
            "availableReplicas": PODS_EACH}})
}

fn template() -> Value {
    json!({"containers": [{"name": "app", "image": "registry.example.com/shop/web:2.4.1",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5},
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/token", "readOnly": true}]}],
        "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]})
}

fn pod(workload: usize, number: usize) -> Value {
    let owner = format!("{}-6d4cf56db6", deployment_name(workload));
    let condition = |kind: &str| {
        json!({"type": kind, "status": "True", "lastProbeTime": null,
            "lastTransitionTime": "2026-01-15T10:00:05Z"})
    };
    let kinds = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ];
    let mut spec = template();
    let node = format!("node-{}", (workload * PODS_EACH + number) % NODES);
    spec.set(&["nodeName"], node.into());
    spec.set(&["restartPolicy"], "Always".into());
    json!({"metadata": metadata(workload, &format!("{owner}-{number:05}"), Some(("ReplicaSet", owner.clone()))),
        "spec": spec,
        "status": {"phase": "Running", "conditions": kinds.map(condition),
            "podIP": "10.1.2.3", "startTime": "2026-01-15T10:00:00Z",
            "containerStatuses": [{"name": "app", "ready": true, "started": true, "restartCount": 0,
                "image": "registry.example.com/shop/web:2.4.1",
                "state": {"running": {"startedAt": "2026-01-15T10:00:02Z"}}}]}})
}

fn node(index: usize) -> Value {
    json!({"metadata": {"name": format!("node-{index}"), "uid": format!("node-{index}"), "resourceVersion": "7"},
        "status": {"conditions": [{"type": "Ready", "status": "True",
            "lastTransitionTime": "2026-01-15T09:00:00Z"}]}})
}
