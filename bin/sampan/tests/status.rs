//! The status layer of the real binary: its command and its API tell a change within two seconds.
//! The scheduler and the kubelet are played by the test, which writes the status of the pod.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use client::rest::{Detail, Rest, WatchEvent};
use meta::{Key, ObjectExt, Resource};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Longest time from the change of an object to the new verdict.
const LATENCY_MAX: Duration = Duration::from_secs(2);
/// Longest wait for anything else.
const WAIT: Duration = Duration::from_secs(30);

const DEPLOYMENTS: Resource = Resource::namespaced("apps", "v1", "Deployment", "deployments");
const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");
const WORKLOADS: Resource = Resource::namespaced("status.sampan.io", "v1", "Workload", "workloads");

/// `sampan server` with data of its own; ends with the test.
struct Server {
    data: TempDir,
    _process: Child,
    rest: Rest,
}

fn sampan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
    command
        .args(arguments)
        .kill_on_drop(true)
        .stdout(Stdio::piped());
    command
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>, has: &str) -> String {
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line.contains(has) {
                return line;
            }
        }
    };
    tokio::time::timeout(WAIT, found).await.unwrap()
}

impl Server {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let directory = data.path().to_str().unwrap();
        let mut process = sampan(&["server", "--port", "0", "--data-dir", directory])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        line(&mut lines, "is ready").await;
        let kubeconfig = data.path().join("admin.kubeconfig");
        let client = client::from_kubeconfig(Some(&kubeconfig), None)
            .await
            .unwrap();
        let rest = Rest::new(client);
        Self {
            data,
            _process: process,
            rest,
        }
    }

    fn status(&self, arguments: &[&str]) -> Command {
        let kubeconfig = self.data.path().join("admin.kubeconfig");
        let mut command = sampan(&["status", "--kubeconfig", kubeconfig.to_str().unwrap()]);
        command.args(arguments);
        command
    }

    /// The first pod.
    async fn pod(&self) -> Value {
        let query = [("watch", "true"), ("timeoutSeconds", "60")];
        let mut watching = self
            .rest
            .watch(&PODS, "default", Detail::Whole, &query)
            .await
            .unwrap();
        let found = async {
            loop {
                if let WatchEvent::Added(pod) = watching.next().await.unwrap().unwrap() {
                    return pod;
                }
            }
        };
        tokio::time::timeout(WAIT, found).await.unwrap()
    }
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"schedulerName": "played", "containers": [{"name": "app", "image": "r.example/web:9"}]}}}})
}

#[tokio::test]
async fn an_image_failure_is_told_within_two_seconds() {
    let server = Server::start().await;
    server
        .rest
        .create(&DEPLOYMENTS, &deployment())
        .await
        .unwrap();
    let pod = server.pod().await;

    let mut command = server.status(&["-w"]).spawn().unwrap();
    let mut lines = BufReader::new(command.stdout.take().unwrap()).lines();
    line(&mut lines, "Deployment").await;
    let query = [
        ("watch", "true"),
        ("timeoutSeconds", "60"),
        ("fieldSelector", "reason=ImagePullBackOff"),
    ];
    let mut workloads = server
        .rest
        .watch(&WORKLOADS, "default", Detail::Whole, &query)
        .await
        .unwrap();

    let status = json!({"status": {"phase": "Pending", "containerStatuses": [{"name": "app", "image": "r.example/web:9",
        "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff",
            "message": "Back-off pulling image \"r.example/web:9\": ErrImagePull: manifest unknown"}}}]}});
    let changed = Instant::now();
    server
        .rest
        .patch(&PODS, &pod.key(), Some("status"), &status)
        .await
        .unwrap();
    line(&mut lines, "ImagePullBackOff (ImageNotFound)").await;
    let event = tokio::time::timeout(LATENCY_MAX, workloads.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let took = changed.elapsed();
    assert!(took < LATENCY_MAX, "{took:?}");
    let WatchEvent::Added(workload) = event else {
        panic!("{event:?}")
    };
    assert_eq!(workload.name(), "deployment.web");
    assert_eq!(
        workload.str_at(&["status", "subReason"]),
        Some("ImageNotFound")
    );
    command.start_kill().unwrap();
}

#[tokio::test]
async fn scripts_read_data_and_exit_codes() {
    let server = Server::start().await;
    server
        .rest
        .create(&DEPLOYMENTS, &deployment())
        .await
        .unwrap();
    let scale = json!({"spec": {"replicas": 0}});
    server
        .rest
        .patch(&DEPLOYMENTS, &Key::new("default", "web"), None, &scale)
        .await
        .unwrap();
    let run = |arguments: &'static [&'static str]| {
        let mut command = server.status(arguments);
        async move {
            let output = command.output().await.unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            (
                output.status.code(),
                serde_json::from_str(&text).unwrap_or(Value::Null),
            )
        }
    };
    let settled = async {
        loop {
            let (code, found) = run(&["deploy/web", "-o", "json", "--exit-code"]).await;
            let item = found["items"][0].clone();
            if item["reason"] == "ScaledToZero" {
                return (code, item);
            }
        }
    };
    let (code, item) = tokio::time::timeout(WAIT, settled).await.unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(item["kind"], "Deployment");
    assert_eq!(
        item["message"]["zh"].as_str().map(str::is_empty),
        Some(false)
    );
    assert_eq!(run(&["deploy/none"]).await.0, Some(2));
    assert_eq!(run(&["ships"]).await.0, Some(2));
    assert_eq!(
        run(&["--only", "not-ok", "-o", "json", "--exit-code"]).await,
        (Some(0), json!({"items": []}))
    );
}
