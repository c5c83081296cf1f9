//! What Sampan says of real containers, and how soon: `sampan status -w` and `kubectl get workloads -w`
//! beside a watch of the objects themselves.
//!
//! Needs root and containerd, and fails with a sentence without them.

#[path = "status/record.rs"]
mod record;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use client::rest::Rest;
use meta::{ObjectExt as _, Resource};
use sampan_e2e::cluster::Cluster;
use serde_json::Value;

use record::Record;

const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");
const DEPLOYMENTS: Resource = Resource::namespaced("apps", "v1", "Deployment", "deployments");
const SITUATIONS: &str = include_str!("status/situations.yaml");
const PATIENT: &str = include_str!("status/patient.yaml");

/// Longest time from the change of an object to the verdict. On a quiet machine it is milliseconds, and
/// two seconds are promised; machines that test many things at once get more.
const LATENCY_MAX: Duration = Duration::from_secs(5);

/// How long a deletion may take. Source: the status engine's `deletingStuck`.
const STUCK_AFTER: Duration = Duration::from_mins(5);

#[tokio::test]
async fn verdicts_follow_what_containers_do() -> Result<()> {
    Cluster::host(async |cluster| story(cluster).await).await
}

/// Everything that is watched.
struct Watched {
    pods: Record<Value>,
    deployments: Record<Value>,
    command: Record<String>,
    workloads: Record<String>,
}

impl Watched {
    async fn begin(cluster: &Cluster) -> Result<Self> {
        let client = client::from_kubeconfig(Some(&cluster.kubeconfig()), None).await?;
        let rest = Rest::new(client);
        Ok(Self {
            pods: Record::of_objects(&rest, &PODS).await?,
            deployments: Record::of_objects(&rest, &DEPLOYMENTS).await?,
            command: Record::of_lines(cluster.follow_status(&["-A", "--lang", "en"])?),
            workloads: Record::of_lines(cluster.follow(&["get", "workloads", "-A", "-w"])?),
        })
    }

    /// Both streams tell a verdict on a workload soon after a change.
    async fn told(&self, changed: Instant, kind: &str, name: &str, reason: &str) -> Result<()> {
        // What time alone changes is told at its time.
        tokio::time::sleep_until(changed.into()).await;
        let row = |line: &String| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            cells.get(1) == Some(&kind) && cells.get(2) == Some(&name) && cells.contains(&reason)
        };
        let workload = format!("{}.{name}", kind.to_lowercase());
        let object = |line: &String| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            cells.get(1) == Some(&workload.as_str()) && cells.contains(&reason)
        };
        let what = format!("{kind} {name}: {reason}");
        let command = self.command.around(changed, &what, row).await?;
        let workloads = self.workloads.around(changed, &what, object).await?;
        let (command, workloads) = (command - changed, workloads - changed);
        eprintln!("{what}: told by the command after {command:?}, by kubectl after {workloads:?}");
        ensure!(
            command < LATENCY_MAX,
            "{what}: the command takes {command:?}"
        );
        ensure!(
            workloads < LATENCY_MAX,
            "{what}: kubectl takes {workloads:?}"
        );
        Ok(())
    }

    /// Neither stream has ever told what was not so: nothing was unreadable, no controller was silent,
    /// and no replica was missing without a cause.
    fn never_wrong(&self) -> Result<()> {
        let is_wrong = |line: &String| {
            let wrong = [
                "StatusUnavailable",
                "ControllerNotResponding",
                "ReplicasUnavailable",
            ];
            line.split_whitespace().any(|word| wrong.contains(&word))
        };
        let lines = [self.command.all(is_wrong), self.workloads.all(is_wrong)].concat();
        ensure!(lines.is_empty(), "{lines:#?}");
        Ok(())
    }

    /// When a pod whose name begins so first showed something.
    async fn pod(&self, name: &str, holds: impl Fn(&Value) -> bool) -> Result<Instant> {
        let is_it = |pod: &Value| pod.name().starts_with(name) && holds(pod);
        self.pods.first(&format!("pod {name}"), is_it).await
    }

    /// When a Deployment first showed something after a moment.
    async fn deployment(
        &self,
        from: Instant,
        name: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Instant> {
        let is_it = |object: &Value| object.name() == name && holds(object);
        let what = format!("deployment {name}");
        self.deployments.after(from, &what, is_it).await
    }
}

fn waits_for(pod: &Value, reason: &str) -> bool {
    let statuses = pod.list_at(&["status", "containerStatuses"]).iter();
    statuses
        .filter_map(|status| status.str_at(&["state", "waiting", "reason"]))
        .any(|waiting| waiting == reason)
}

fn number(object: &Value, path: &[&str]) -> i64 {
    object.at(path).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether the controller has seen the newest spec and so many replicas serve.
fn serves(object: &Value, replicas: i64) -> bool {
    number(object, &["status", "observedGeneration"]) == number(object, &["metadata", "generation"])
        && number(object, &["status", "availableReplicas"]) == replicas
        && number(object, &["status", "updatedReplicas"]) == replicas
        && number(object, &["status", "replicas"]) == replicas
}

async fn apply(cluster: &Cluster, manifest: &str) -> Result<()> {
    let applied = cluster
        .kubectl_with(&["apply", "-f", "-"], manifest)
        .await?;
    applied.ok().map(drop)
}

async fn story(cluster: &Cluster) -> Result<()> {
    let watched = Watched::begin(cluster).await?;
    apply(cluster, PATIENT).await?;
    apply(cluster, SITUATIONS).await?;
    let held = hold(cluster, &watched).await?;
    failing(&watched).await?;
    living(cluster, &watched).await?;
    ending(cluster, &watched).await?;
    patient(&watched).await?;
    forgotten(cluster, &watched, held).await?;
    watched.never_wrong()
}

/// Deletes a Deployment that a finalizer holds; says when.
async fn hold(cluster: &Cluster, watched: &Watched) -> Result<Instant> {
    let delete = ["delete", "deploy/held", "--wait=false"];
    cluster.kubectl(&delete).await?.ok()?;
    let is_going = |object: &Value| {
        object.name() == "held" && object.str_at(&["metadata", "deletionTimestamp"]).is_some()
    };
    watched.deployments.first("deployment held", is_going).await
}

/// A deletion that nobody ends, after its five minutes.
async fn forgotten(cluster: &Cluster, watched: &Watched, held: Instant) -> Result<()> {
    let due = held + STUCK_AFTER;
    watched
        .told(due, "Deployment", "held", "FinalizersPending")
        .await?;
    let free = r#"{"metadata":{"finalizers":null}}"#;
    let freed = ["patch", "deploy/held", "-p", free];
    cluster.kubectl(&freed).await?.ok().map(drop)
}

/// Trouble that shows at once.
async fn failing(watched: &Watched) -> Result<()> {
    let changed = watched.pod("config-", |pod| {
        waits_for(pod, "CreateContainerConfigError")
    });
    let changed = changed.await?;
    let told = watched.told(
        changed,
        "Deployment",
        "config",
        "CreateContainerConfigError",
    );
    told.await?;
    let changed = watched
        .pod("live", |pod| waits_for(pod, "CrashLoopBackOff"))
        .await?;
    watched
        .told(changed, "Pod", "live", "CrashLoopBackOff")
        .await?;
    let changed = watched
        .pod("start", |pod| waits_for(pod, "CrashLoopBackOff"))
        .await?;
    watched
        .told(changed, "Pod", "start", "CrashLoopBackOff")
        .await?;
    let has_failed = |object: &Value| {
        let conditions = object.list_at(&["status", "conditions"]).iter();
        conditions
            .filter_map(|condition| condition.str_at(&["type"]))
            .any(|kind| kind == "ReplicaFailure")
    };
    let first = |object: &Value| object.name() == "greedy" && has_failed(object);
    let changed = watched
        .deployments
        .first("deployment greedy", first)
        .await?;
    watched
        .told(changed, "Deployment", "greedy", "QuotaExceeded")
        .await
}

/// One Deployment rolls out, fails to be updated, and is undone.
async fn living(cluster: &Cluster, watched: &Watched) -> Result<()> {
    let first = |object: &Value| object.name() == "web" && serves(object, 2);
    let changed = watched.deployments.first("deployment web", first).await?;
    watched
        .told(changed, "Deployment", "web", "AllReplicasReady")
        .await?;

    let image = ["set", "image", "deploy/web", "web=127.0.0.1:1/nothing:1"];
    cluster.kubectl(&image).await?.ok()?;
    let changed = watched
        .pod("web-", |pod| waits_for(pod, "ErrImagePull"))
        .await?;
    watched
        .told(changed, "Deployment", "web", "ErrImagePull")
        .await?;
    let said = cluster
        .status(&["deployment/web", "--lang", "en", "--exit-code"])
        .await?;
    let is_blocked = said.code == 1 && said.stdout.contains("Rollout blocked: 1 of 2 replicas");
    ensure!(
        is_blocked && said.stdout.contains("2 of 2 still available"),
        "{said:?}"
    );

    let from = Instant::now();
    cluster
        .kubectl(&["rollout", "undo", "deploy/web"])
        .await?
        .ok()?;
    let changed = watched
        .deployment(from, "web", |object| serves(object, 2))
        .await?;
    watched
        .told(changed, "Deployment", "web", "AllReplicasReady")
        .await
}

/// The same Deployment held, emptied and deleted.
async fn ending(cluster: &Cluster, watched: &Watched) -> Result<()> {
    let from = Instant::now();
    cluster
        .kubectl(&["rollout", "pause", "deploy/web"])
        .await?
        .ok()?;
    let is_paused =
        |object: &Value| object.bool_at(&["spec", "paused"]) == Some(true) && serves(object, 2);
    let changed = watched.deployment(from, "web", is_paused).await?;
    watched.told(changed, "Deployment", "web", "Paused").await?;

    let from = Instant::now();
    cluster
        .kubectl(&["rollout", "resume", "deploy/web"])
        .await?
        .ok()?;
    cluster
        .kubectl(&["scale", "deploy/web", "--replicas=0"])
        .await?
        .ok()?;
    let is_gone = |object: &Value| number(object, &["spec", "replicas"]) == 0 && serves(object, 0);
    let changed = watched.deployment(from, "web", is_gone).await?;
    watched
        .told(changed, "Deployment", "web", "ScaledToZero")
        .await?;

    let from = Instant::now();
    let hold = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
    cluster
        .kubectl(&["patch", "deploy/web", "-p", hold])
        .await?
        .ok()?;
    cluster
        .kubectl(&["delete", "deploy/web", "--wait=false"])
        .await?
        .ok()?;
    let is_going = |object: &Value| object.str_at(&["metadata", "deletionTimestamp"]).is_some();
    let changed = watched.deployment(from, "web", is_going).await?;
    watched
        .told(changed, "Deployment", "web", "Terminating")
        .await?;
    let free = r#"{"metadata":{"finalizers":null}}"#;
    cluster
        .kubectl(&["patch", "deploy/web", "-p", free])
        .await?
        .ok()
        .map(drop)
}

/// Trouble that only time shows: nothing changes but the hour.
async fn patient(watched: &Watched) -> Result<()> {
    // 15 s after its creation a pod that fits nowhere is told; 61 s after its start one that is not ready.
    let changed = watched.pod("huge", |_| true).await? + Duration::from_secs(15);
    watched
        .told(changed, "Pod", "huge", "Unschedulable")
        .await?;
    let is_running = |pod: &Value| {
        let mut statuses = pod.list_at(&["status", "containerStatuses"]).iter();
        statuses.any(|status| status.at(&["state", "running"]).is_some())
    };
    let changed = watched.pod("unready", is_running).await?;
    // The times in objects have whole seconds.
    let changed = changed + Duration::from_mins(1);
    watched
        .told(changed, "Pod", "unready", "ReadinessProbeFailing")
        .await
}
