//! The example Deployment as a new user meets it: apply, roll out, scale, update, undo, break, and what Sampan says of it.
//!
//! Needs root and containerd, and fails with a sentence without them.

use anyhow::{Context as _, Result, ensure};
use sampan_e2e::cluster::{Cluster, line};

const HELLO: &str = include_str!("../../../examples/hello/deployment.yaml");
const CRASH: &str = "
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  containers:
  - {name: main, image: docker.io/library/busybox:1.36, imagePullPolicy: IfNotPresent, command: [sh, -c, exit 3]}
";
const NO_IMAGE: &str = "
apiVersion: v1
kind: Pod
metadata: {name: no-image}
spec:
  containers:
  - {name: main, image: \"127.0.0.1:1/nothing:1\"}
";

#[tokio::test]
async fn a_deployment_lives_as_its_user_expects() -> Result<()> {
    Cluster::host(async |cluster| story(cluster).await).await
}

async fn story(cluster: &Cluster) -> Result<()> {
    cluster
        .kubectl_with(&["apply", "-f", "-"], HELLO)
        .await?
        .ok()?;
    rolled_out(cluster).await?;
    let logs = cluster.kubectl(&["logs", "deploy/hello"]).await?.ok()?;
    ensure!(logs.contains("hello v1"), "{logs}");
    cluster
        .kubectl(&["scale", "deploy/hello", "--replicas=2"])
        .await?
        .ok()?;
    rolled_out(cluster).await?;
    cluster
        .kubectl(&[
            "set",
            "image",
            "deploy/hello",
            "hello=sampan.local/hello:v2",
        ])
        .await?
        .ok()?;
    rolled_out(cluster).await?;
    // `logs deploy/hello` may choose a pod of the revision before that is still ending.
    let pod = format!(
        "pod/{}",
        staying(cluster).await?.first().context("a pod stays")?
    );
    let logs = cluster.kubectl(&["logs", &pod]).await?.ok()?;
    ensure!(logs.contains("hello v2"), "{logs}");
    cluster
        .kubectl(&["rollout", "undo", "deploy/hello"])
        .await?
        .ok()?;
    rolled_out(cluster).await?;
    replaced(cluster).await?;
    let status = cluster
        .status(&["deployment/hello", "--lang", "en", "--exit-code"])
        .await?
        .ok()?;
    ensure!(status.contains("Running"), "{status}");
    broken(cluster).await?;
    let all = ["delete", "deploy,pods", "--all", "--timeout=60s"];
    cluster.kubectl(&all).await?.ok().map(drop)
}

async fn rolled_out(cluster: &Cluster) -> Result<()> {
    let rollout = ["rollout", "status", "deploy/hello", "--timeout=60s"];
    cluster.kubectl(&rollout).await?.ok().map(drop)
}

/// The pods of the Deployment that are not on their way out.
async fn staying(cluster: &Cluster) -> Result<Vec<String>> {
    let names = "-o=go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}{{end}}";
    let get = ["get", "pods", "-l", "app=hello", names];
    let shown = cluster.kubectl(&get).await?.ok()?;
    Ok(shown.split_whitespace().map(str::to_owned).collect())
}

/// A deleted pod goes away, and another one takes its place.
async fn replaced(cluster: &Cluster) -> Result<()> {
    let victim = staying(cluster).await?;
    let victim = victim.first().context("a pod stays")?;
    cluster
        .kubectl(&["delete", "pod", victim, "--timeout=60s"])
        .await?
        .ok()?;
    rolled_out(cluster).await?;
    let after = staying(cluster).await?;
    ensure!(
        !after.contains(victim),
        "{victim} is still there: {after:?}"
    );
    Ok(())
}

/// What fails shows upstream's reasons, and Sampan names the causes.
async fn broken(cluster: &Cluster) -> Result<()> {
    for (pod, name, reason) in [
        (CRASH, "crash", "CrashLoopBackOff"),
        (NO_IMAGE, "no-image", "ImagePullBackOff"),
    ] {
        let (mut watch, mut lines) = cluster.follow(&["get", "pods", "-w"])?;
        cluster
            .kubectl_with(&["apply", "-f", "-"], pod)
            .await?
            .ok()?;
        line(&mut lines, reason).await?;
        watch.kill().await?;
        let described = cluster.kubectl(&["describe", "pod", name]).await?.ok()?;
        ensure!(described.contains("Back-off"), "{described}");
        let said = cluster
            .status(&[&format!("pod/{name}"), "--lang", "en", "--exit-code"])
            .await?;
        ensure!(
            said.code == 1 && said.stdout.contains("Not Ready"),
            "{said:?}"
        );
    }
    Ok(())
}
