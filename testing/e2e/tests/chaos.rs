//! The whole binary killed at random moments while pods are created, scaled and deleted.
//!
//! No acknowledged object is lost, no running container is touched or doubled, and what was begun comes to its end.
//! `SAMPAN_CHAOS_SECONDS` sets how long it goes on, `SAMPAN_CHAOS_SEED` the seed. Needs root and containerd.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use sampan_e2e::cluster::{self, Cluster, WAIT};
use sampan_e2e::tools::argument;
use tokio::task::JoinSet;

const SECONDS: u64 = 30;
const PODS: u64 = 6;
const REPLICAS_MAX: u64 = 3;
/// A pod that nobody touches, and a deployment that is scaled.
const START: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: rock}
spec:
  containers: [{name: main, image: "docker.io/library/busybox:1.36", command: [sleep, "100000"]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "docker.io/library/busybox:1.36", command: [sleep, "100000"]}]
"#;

#[tokio::test]
async fn a_cluster_killed_at_any_moment_picks_everything_up() -> Result<()> {
    Cluster::host(async |cluster| story(cluster).await).await
}

/// What was asked for last, for each pod of ours, and whether the answer came.
type Pods = BTreeMap<u64, (Wish, bool)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    There,
    Gone,
}

async fn story(cluster: &mut Cluster) -> Result<()> {
    let seed = argument("SAMPAN_CHAOS_SEED", 1);
    eprintln!("SAMPAN_CHAOS_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    cluster
        .kubectl_with(&["apply", "-f", "-"], START)
        .await?
        .ok()?;
    let ready = ["wait", "--for=condition=Ready", "pod/rock", "--timeout=60s"];
    cluster.kubectl(&ready).await?.ok()?;
    let rock = running(cluster).await?;
    let mut pods = Pods::new();
    let (begun, mut rounds) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(argument("SAMPAN_CHAOS_SECONDS", SECONDS)) {
        round(cluster, &mut random, &mut pods).await?;
        rounds += 1;
    }
    eprintln!("killed {rounds} times");
    settle(cluster, &pods).await?;
    let now = running(cluster).await?;
    for (key, found) in rock {
        // The deployment's first pod may have been scaled away; the rock was never touched.
        if key.1 == "rock" {
            ensure!(
                now.get(&key) == Some(&found),
                "{key:?}: {found:?} became {:?}",
                now.get(&key)
            );
        }
    }
    let all = ["delete", "deploy,pods", "--all", "--timeout=60s"];
    cluster.kubectl(&all).await?.ok().map(drop)
}

/// Some commands at once, and a kill in the midst of them.
async fn round(cluster: &mut Cluster, random: &mut Rng, pods: &mut Pods) -> Result<()> {
    let mut commands = JoinSet::new();
    let mut asked = BTreeSet::new();
    for _ in 0..3 {
        let index = random.u64(..PODS);
        if !asked.insert(index) {
            continue;
        }
        let name = format!("pod-{index}");
        let wish = match pods.get(&index) {
            Some((Wish::There, true)) => Wish::Gone,
            _ => Wish::There,
        };
        let manifest = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 1, \
             containers: [{{name: main, image: 'docker.io/library/busybox:1.36', command: [sleep, '100000']}}]}}}}"
        );
        let command = match wish {
            Wish::There => cluster.kubectl_command(&["apply", "-f", "-"]),
            Wish::Gone => cluster.kubectl_command(&["delete", "pod", &name, "--wait=false"]),
        };
        commands.spawn(async move {
            let printed = cluster::printed(command, &manifest).await;
            (Some((index, wish)), printed)
        });
    }
    let replicas = format!("--replicas={}", random.u64(..=REPLICAS_MAX));
    let scale = cluster.kubectl_command(&["scale", "deploy/web", &replicas]);
    commands.spawn(async move { (None, cluster::printed(scale, "").await) });
    tokio::time::sleep(Duration::from_millis(random.u64(..1500))).await;
    cluster.restart().await?;
    while let Some(joined) = commands.join_next().await {
        let (asked, printed) = joined?;
        if let Some((index, wish)) = asked {
            let printed = printed?;
            // Applying a pod that is still on its way out succeeds too, and keeps nothing there.
            let is_meant = wish == Wish::Gone || printed.stdout.contains("created");
            pods.insert(index, (wish, printed.code == 0 && is_meant));
        }
    }
    Ok(())
}

/// Waits until everything is as it was asked for, and checks that the runtime has it exactly once.
async fn settle(cluster: &Cluster, pods: &Pods) -> Result<()> {
    cluster
        .kubectl(&["scale", "deploy/web", "--replicas=2"])
        .await?
        .ok()?;
    let rollout = ["rollout", "status", "deploy/web", "--timeout=90s"];
    cluster.kubectl(&rollout).await?.ok()?;
    for (index, (wish, is_acknowledged)) in pods {
        let pod = format!("pod/pod-{index}");
        let condition = match wish {
            Wish::There => "--for=condition=Ready",
            Wish::Gone => "--for=delete",
        };
        if *is_acknowledged {
            let arguments = ["wait", condition, &pod, "--timeout=90s"];
            let waited = cluster.kubectl(&arguments).await?.ok();
            waited.with_context(|| format!("{pod} was to be {wish:?}"))?;
        }
    }
    let once = async {
        loop {
            match is_once(cluster).await {
                Ok(()) => return,
                Err(error) => eprintln!("not yet: {error:#}"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    match tokio::time::timeout(WAIT, once).await {
        Ok(()) => Ok(()),
        Err(_) => is_once(cluster).await,
    }
}

/// Every pod of the API has one sandbox and one running container, and nothing else has any.
async fn is_once(cluster: &Cluster) -> Result<()> {
    let format = "-o=go-template={{range .items}}{{if not .metadata.deletionTimestamp}}{{.metadata.uid}} {{end}}{{end}}";
    let wanted = cluster.kubectl(&["get", "pods", format]).await?.ok()?;
    let wanted: BTreeSet<&str> = wanted.split_whitespace().collect();
    let runtime = cluster.runtime().await?;
    let mut sandboxes: BTreeMap<String, usize> = BTreeMap::new();
    for sandbox in runtime.list_pod_sandboxes(None).await? {
        let uid = sandbox
            .labels
            .get("io.kubernetes.pod.uid")
            .cloned()
            .unwrap_or_default();
        *sandboxes.entry(uid).or_default() += 1;
    }
    let running = running(cluster).await?;
    let uids: BTreeSet<&str> = running.keys().map(|(uid, _)| uid.as_str()).collect();
    ensure!(uids == wanted, "running are {uids:?}, wanted {wanted:?}");
    let with_sandbox: BTreeSet<&str> = sandboxes.keys().map(String::as_str).collect();
    ensure!(
        with_sandbox == wanted,
        "sandboxes are {with_sandbox:?}, wanted {wanted:?}"
    );
    for (uid, count) in &sandboxes {
        ensure!(*count == 1, "pod {uid} has {count} sandboxes");
    }
    Ok(())
}

/// Running containers by uid and name of their pod: id and start, in nanoseconds.
async fn running(cluster: &Cluster) -> Result<BTreeMap<(String, String), (String, i64)>> {
    let runtime = cluster.runtime().await?;
    let mut running = BTreeMap::new();
    for one in runtime.list_containers(None).await? {
        if one.state() != cri::v1::ContainerState::ContainerRunning {
            continue;
        }
        let label = |key: &str| one.labels.get(key).cloned().unwrap_or_default();
        let key = (
            label("io.kubernetes.pod.uid"),
            label("io.kubernetes.pod.name"),
        );
        let status = runtime.container_status(&one.id, false).await?;
        let started = status.status.map_or(0, |status| status.started_at);
        let before = running.insert(key.clone(), (one.id.clone(), started));
        ensure!(
            before.is_none(),
            "{key:?} runs twice: {before:?} and {}",
            one.id
        );
    }
    Ok(running)
}
