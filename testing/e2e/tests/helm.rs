//! A chart as Helm's users know it, on a real cluster: installed, tested, upgraded, refused, rolled back, uninstalled.
//!
//! Needs root and containerd, and fails with a sentence without them.

use anyhow::{Context as _, Result, ensure};
use sampan_e2e::cluster::{Cluster, Printed};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/helm/boat");
/// Flags of a run that ends when everything is ready.
const WAIT: [&str; 2] = ["--wait", "--timeout=60s"];
/// What a chart may make, which an uninstalled one must not leave.
const MADE: &str = "deployments,replicasets,services,ingresses,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,\
    cronjobs,configmaps,secrets,serviceaccounts,roles,rolebindings";

#[tokio::test]
async fn a_chart_lives_as_its_user_expects() -> Result<()> {
    Cluster::host(async |cluster| {
        installed(cluster).await?;
        upgraded(cluster).await?;
        refused(cluster).await?;
        contested(cluster).await?;
        rolled_back(cluster).await?;
        uninstalled(cluster, "boat").await?;
        merged(cluster).await
    })
    .await
}

/// Everything of the chart is made, hooks run before it, and its own test passes.
async fn installed(cluster: &Cluster) -> Result<()> {
    let dry = helm(cluster, "install", &["--dry-run=server"])
        .await?
        .ok()?;
    ensure!(dry.contains("LOOKED_UP: \"ConfigMap\""), "{dry}");
    ensure!(helm_names(cluster).await?.is_empty(), "a dry run is kept");
    helm(cluster, "install", &WAIT).await?.ok()?;
    ensure!(ready(cluster).await? == "2", "ready when Helm says so");
    let status = cluster.helm(&["status", "boat"]).await?.ok()?;
    ensure!(status.contains("STATUS: deployed"), "{status}");
    ensure!(status.contains("==> v1/Deployment"), "{status}");
    let hooks = cluster.kubectl(&["get", "jobs", "-o", "name"]).await?;
    ensure!(hooks.clone().ok()?.is_empty(), "{hooks:?}");
    let test = cluster.helm(&["test", "boat", "--logs"]).await?.ok()?;
    ensure!(test.contains("Succeeded"), "{test}");
    Ok(())
}

/// Changed values reach the pods, and what is as it was is left alone.
async fn upgraded(cluster: &Cluster) -> Result<()> {
    let account = [
        "get",
        "serviceaccount",
        "boat",
        "-o=jsonpath={.metadata.resourceVersion}",
    ];
    let before = cluster.kubectl(&account).await?.ok()?;
    let flags = [&WAIT[..], &["--set=tag=v2,greeting=hey,replicas=1"]].concat();
    helm(cluster, "upgrade", &flags).await?.ok()?;
    ensure!(
        cluster.kubectl(&account).await?.ok()? == before,
        "an account was written again"
    );
    ensure!(
        image(cluster).await? == "sampan.local/hello:v2",
        "the image is the new one"
    );
    ensure!(ready(cluster).await? == "1", "ready when Helm says so");
    let job = [
        "wait",
        "job/boat-post-upgrade",
        "--for=condition=complete",
        "--timeout=60s",
    ];
    cluster.kubectl(&job).await?.ok()?;
    cluster.helm(&["test", "boat"]).await?.ok().map(drop)
}

/// A mistake in a value is told in upstream's words, and nothing of it happens.
async fn refused(cluster: &Cluster) -> Result<()> {
    let printed = helm(cluster, "upgrade", &["--set=replicas=-1"]).await?;
    let words = "Deployment.apps \"boat\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0";
    ensure!(
        printed.code == 1 && printed.stderr.contains(words),
        "{printed:?}"
    );
    let history = cluster.helm(&["history", "boat"]).await?.ok()?;
    let states: Vec<bool> = history
        .lines()
        .skip(1)
        .map(|line| line.contains("failed"))
        .collect();
    ensure!(states == [false, false, true], "{history}");
    ensure!(ready(cluster).await? == "1", "the Deployment is as it was");
    Ok(())
}

/// A field that somebody else set is not taken without being told to.
async fn contested(cluster: &Cluster) -> Result<()> {
    let set = ["set", "image", "deploy/boat", "hello=sampan.local/hello:v1"];
    cluster.kubectl(&set).await?.ok()?;
    let values = ["--set=tag=v2,greeting=hey,replicas=1"];
    let printed = helm(cluster, "upgrade", &values).await?;
    let words = "Apply failed with 1 conflict: conflict with \"kubectl-set\" using apps/v1: \
        .spec.template.spec.containers[name=\"hello\"].image";
    ensure!(
        printed.code == 1 && printed.stderr.contains(words),
        "{printed:?}"
    );
    let forced = [&WAIT[..], &values, &["--force-conflicts"]].concat();
    helm(cluster, "upgrade", &forced).await?.ok()?;
    ensure!(
        image(cluster).await? == "sampan.local/hello:v2",
        "the image is the chart's"
    );
    Ok(())
}

/// A release goes back to what it was: when its user says so, and by itself when it does not come up.
async fn rolled_back(cluster: &Cluster) -> Result<()> {
    let back = [&["rollback", "boat", "1"], &WAIT[..]].concat();
    cluster.helm(&back).await?.ok()?;
    ensure!(
        image(cluster).await? == "sampan.local/hello:v1",
        "the first image"
    );
    ensure!(ready(cluster).await? == "2", "as many as at first");
    let flags = [
        "--set=tag=none",
        "--wait",
        "--timeout=3s",
        "--rollback-on-failure",
    ];
    let printed = helm(cluster, "upgrade", &flags).await?;
    ensure!(printed.code == 1, "{printed:?}");
    ensure!(
        image(cluster).await? == "sampan.local/hello:v1",
        "what does not come up goes back"
    );
    Ok(())
}

/// Nothing stays but what hooks made, which Helm leaves.
async fn uninstalled(cluster: &Cluster, release: &str) -> Result<()> {
    let uninstall = [&["uninstall", release], &WAIT[..]].concat();
    cluster.helm(&uninstall).await?.ok()?;
    let selector = format!("app.kubernetes.io/instance={release}");
    let left = ["get", MADE, "-l", &selector, "-o", "name"];
    let left = cluster.kubectl(&left).await?.ok()?;
    ensure!(left.is_empty(), "left: {left}");
    ensure!(helm_names(cluster).await?.is_empty(), "the release is gone");
    Ok(())
}

/// The same chart by patches computed at the client, as Helm 3 did.
async fn merged(cluster: &Cluster) -> Result<()> {
    let flags = [&WAIT[..], &["--server-side=false"]].concat();
    let install = [&["install", "merged", CHART], &flags[..]].concat();
    cluster.helm(&install).await?.ok()?;
    let upgrade = [&["upgrade", "merged", CHART, "--set=tag=v2"], &flags[..]].concat();
    cluster.helm(&upgrade).await?.ok()?;
    cluster.helm(&["test", "merged"]).await?.ok()?;
    uninstalled(cluster, "merged").await
}

/// Runs Helm on the chart as release `boat`.
async fn helm(cluster: &Cluster, verb: &str, flags: &[&str]) -> Result<Printed> {
    cluster
        .helm(&[&[verb, "boat", CHART], flags].concat())
        .await
}

/// The names of the releases.
async fn helm_names(cluster: &Cluster) -> Result<String> {
    cluster.helm(&["list", "--short"]).await?.ok()
}

async fn ready(cluster: &Cluster) -> Result<String> {
    field(cluster, "{.status.readyReplicas}").await
}

async fn image(cluster: &Cluster) -> Result<String> {
    field(cluster, "{.spec.template.spec.containers[0].image}").await
}

async fn field(cluster: &Cluster, path: &str) -> Result<String> {
    let get = ["get", "deploy", "boat", &format!("-o=jsonpath={path}")];
    let shown = cluster.kubectl(&get).await?.ok();
    shown.with_context(|| format!("cannot read {path}"))
}
