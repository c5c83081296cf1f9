//! The status layer of the real binary: its command and its API tell a change within two seconds.
//! The scheduler and the kubelet are played by the test, which writes the status of the pod.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use client::rest::{Detail, Rest, WatchEvent};
use meta::{Key, ObjectExt, Resource};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, Command};

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
    process: Child,
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

async fn line<R: AsyncBufRead + Unpin>(lines: &mut Lines<R>, has: &str) -> String {
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

/// `sampan server` on data, ready.
async fn server(data: &Path, port: &str) -> Child {
    let directory = data.to_str().unwrap();
    let mut process = sampan(&["server", "--port", port, "--data-dir", directory])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    line(&mut lines, "is ready").await;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    process
}

impl Server {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let process = server(data.path(), "0").await;
        let kubeconfig = data.path().join("admin.kubeconfig");
        let client = client::from_kubeconfig(Some(&kubeconfig), None)
            .await
            .unwrap();
        let rest = Rest::new(client);
        Self {
            data,
            process,
            rest,
        }
    }

    /// Where it listens.
    fn address(&self) -> String {
        let text = std::fs::read_to_string(self.data.path().join("admin.kubeconfig")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let server = config.pointer("/clusters/0/cluster/server");
        server.and_then(Value::as_str).unwrap().to_owned()
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

#[tokio::test]
async fn a_server_that_vanishes_is_told_and_comes_back() {
    let mut server = Server::start().await;
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();
    server
        .rest
        .create(&DEPLOYMENTS, &deployment())
        .await
        .unwrap();
    let mut command = server.status(&["-w", "--lang", "en"]);
    let mut command = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(command.stdout.take().unwrap()).lines();
    let mut notices = BufReader::new(command.stderr.take().unwrap()).lines();
    line(&mut lines, "Deployment").await;

    server.process.kill().await.unwrap();
    let said = line(&mut lines, "StatusUnavailable").await;
    assert!(said.contains("Exception"), "{said}");
    line(&mut notices, "cannot read").await;

    server.process = self::server(server.data.path(), &port).await;
    line(&mut notices, "can be read again").await;
    // Whatever is told last of the Deployment is what is so now.
    let zero = json!({"spec": {"replicas": 0}});
    let key = Key::new("default", "web");
    server
        .rest
        .patch(&DEPLOYMENTS, &key, None, &zero)
        .await
        .unwrap();
    line(&mut lines, "ScaledToZero").await;
    command.start_kill().unwrap();
}

/// Exit code and what is said on standard error.
async fn refused(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(Stdio::piped()).output().await.unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn bad_input_is_one_sentence() {
    let data = tempfile::tempdir().unwrap();
    let bundle = data.path().join("web.json");
    std::fs::write(&bundle, deployment().to_string()).unwrap();
    let bundle = bundle.to_str().unwrap();
    let mut command = sampan(&["status", "-f", bundle, "--now", "yesterday"]);
    let (code, said) = refused(&mut command).await;
    assert_eq!(code, Some(2));
    assert_eq!(
        said,
        "sampan status: \"yesterday\" is no time; write it as RFC 3339 has it, such as 2026-01-15T10:30:00Z\n"
    );
    let mut command = sampan(&["status", "--kubeconfig", "/nowhere/kubeconfig"]);
    let (code, said) = refused(&mut command).await;
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
}

#[tokio::test]
async fn credentials_that_are_refused_are_told_as_that() {
    let server = Server::start().await;
    let now = jiff::Timestamp::now();
    let authority = pki::Authority::open(&server.data.path().join("pki"), now).unwrap();
    let long_ago = now - jiff::SignedDuration::from_hours(3 * 365 * 24);
    let identity = pki::Identity::client("admin", "system:masters");
    let expired = authority.issue(&identity, long_ago).unwrap();
    let kubeconfig = pki::kubeconfig::render(&server.address(), authority.certificate(), &expired);
    let path = server.data.path().join("expired.kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let mut command = sampan(&["status", "--kubeconfig", path.to_str().unwrap()]);
    let (code, said) = refused(&mut command).await;
    assert_eq!(code, Some(2));
    let begin = "sampan status: the cluster refuses the credentials of the kubeconfig: ";
    assert!(
        said.starts_with(begin) && said.lines().count() == 1,
        "{said}"
    );
    // Servers do not tell what is wrong with a certificate: this one has expired.
    assert!(said.contains("Unauthorized; renew them"), "{said}");
}
