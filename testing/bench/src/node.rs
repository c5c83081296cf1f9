//! A node with real containers: how soon it is Ready, and how soon a pod runs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::idle;
use crate::process::Process;
use crate::report::{percentile, row};

/// Pods created one after the other.
const PODS: usize = 20;
/// Longest wait for a node or a pod.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Measures `sampan up` and ends it with `sampan down`.
pub(crate) async fn measure(binary: &Path, images: &Path) -> Result<()> {
    let data = tempfile::tempdir().context("cannot make a directory")?;
    let images = images.to_string_lossy().into_owned();
    let begun = Instant::now();
    let process = Process::start(binary, "up", data.path(), &["--images", &images]).await?;
    let result = run(&process, begun).await;
    process.end().await?;
    let down = tokio::process::Command::new(binary)
        .arg("down")
        .arg("--data-dir")
        .arg(data.path())
        .status()
        .await;
    anyhow::ensure!(
        down.context("cannot run `sampan down`")?.success(),
        "`sampan down` failed"
    );
    result
}

async fn run(process: &Process, begun: Instant) -> Result<()> {
    let client = process.client().await?;
    node_ready(&client).await?;
    row(
        "start to node Ready, containerd started and images loaded on the way",
        &format!("{:.0} ms", begun.elapsed().as_secs_f64() * 1000.0),
    );
    idle("idle, everything in our process, no pods", process).await?;
    let pods: Api<Pod> = Api::default_namespaced(client);
    let mut times = Vec::new();
    for index in 0..PODS {
        times.push(pod_running(&pods, &format!("bench-{index}")).await?);
    }
    row(
        "pod create to Running, image present",
        &format!(
            "p50 {:.0} ms, p90 {:.0} ms",
            percentile(&mut times, 50),
            percentile(&mut times, 90)
        ),
    );
    idle(
        &format!("idle, everything in our process, {PODS} pods"),
        process,
    )
    .await?;
    for index in 0..PODS {
        let now = DeleteParams {
            grace_period_seconds: Some(0),
            ..DeleteParams::default()
        };
        pods.delete(&format!("bench-{index}"), &now)
            .await
            .context("a delete failed")?;
    }
    Ok(())
}

async fn node_ready(client: &kube::Client) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let mut events = Box::pin(
        nodes
            .watch(&WatchParams::default(), "0")
            .await
            .context("no watch of nodes")?,
    );
    let ready = async {
        while let Some(event) = events.try_next().await? {
            let (WatchEvent::Added(node) | WatchEvent::Modified(node)) = event else {
                continue;
            };
            let conditions = node
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            if conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            {
                return Ok(());
            }
        }
        anyhow::bail!("the watch of nodes ended")
    };
    tokio::time::timeout(WAIT_MAX, ready)
        .await
        .context("the node is not Ready in time")?
}

async fn pod_running(pods: &Api<Pod>, name: &str) -> Result<Duration> {
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = Box::pin(pods.watch(&params, "0").await.context("no watch of pods")?);
    let pod: Pod = serde_json::from_value(
        json!({"metadata": {"name": name}, "spec": {"terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.1"}]}}),
    )
    .context("no pod")?;
    let begun = Instant::now();
    pods.create(&PostParams::default(), &pod)
        .await
        .context("a create failed")?;
    let running = async {
        while let Some(event) = events.try_next().await? {
            let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event else {
                continue;
            };
            if pod.status.and_then(|status| status.phase).as_deref() == Some("Running") {
                return Ok(begun.elapsed());
            }
        }
        anyhow::bail!("the watch of pods ended")
    };
    tokio::time::timeout(WAIT_MAX, running)
        .await
        .context("the pod does not run in time")?
}
