//! The audit log of `sampan server`, with a policy as upstream's documentation has one and a kubectl that is looked at.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sampan_e2e::cluster;
use sampan_e2e::server::Server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// After the one in the documentation of Kubernetes, "Auditing".
const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: ["RequestReceived"]
rules:
  - level: RequestResponse
    resources: [{group: "", resources: ["pods"]}]
  - level: Metadata
    resources: [{group: "", resources: ["pods/log", "pods/status"]}]
  - level: None
    users: ["system:kube-controller-manager"]
    verbs: ["watch"]
  - level: None
    userGroups: ["system:authenticated"]
    nonResourceURLs: ["/api*", "/version"]
  - level: Request
    resources: [{group: "", resources: ["configmaps"]}]
    namespaces: ["kube-system"]
  - level: Metadata
    resources: [{group: "", resources: ["secrets", "configmaps"]}]
  - level: Request
    resources: [{group: ""}, {group: "extensions"}]
  - level: Metadata
    omitStages: ["RequestReceived"]
"#;

/// A policy and where its log goes.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("policy.yaml"), POLICY)?;
        Ok(Self { directory })
    }

    fn policy(&self) -> PathBuf {
        self.directory.path().join("policy.yaml")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("logs/audit.log")
    }

    async fn server(&self, more: &[&str]) -> Result<Server> {
        self.server_after("true", more).await
    }

    /// The same after a change, as in [`Server::start_after`].
    async fn server_after(&self, change: &str, more: &[&str]) -> Result<Server> {
        let policy = format!("--audit-policy-file={}", self.policy().display());
        let log = format!("--audit-log-path={}", self.log().display());
        let mut flags = vec![policy.as_str(), log.as_str()];
        flags.extend(more);
        Server::start_after(change, &flags).await
    }

    /// Every whole line of the log, which must be an event; a torn one may be the last.
    fn events(&self) -> Result<Vec<Value>> {
        events(&self.log())
    }
}

fn events(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    let whole = text.rfind('\n').map_or("", |end| text.split_at(end + 1).0);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect()
}

/// The events of kubectl about such objects.
fn about<'a>(events: &'a [Value], resource: &str, verb: &str) -> Vec<&'a Value> {
    let asked = events.iter().filter(|event| {
        let text = |path| event.pointer(path).and_then(Value::as_str);
        text("/objectRef/resource") == Some(resource)
            && text("/verb") == Some(verb)
            && text("/userAgent").is_some_and(|agent| agent.starts_with("kubectl"))
    });
    asked.collect()
}

#[tokio::test]
async fn a_log_tells_what_kubectl_did_as_far_as_the_policy_goes() -> Result<()> {
    let place = Place::new()?;
    let server = place.server(&[]).await?;
    let script = "
        kubectl create secret generic s --from-literal=k=nobody-may-read-this
        kubectl -n kube-system create configmap system --from-literal=k=told
        kubectl create configmap mine --from-literal=k=not-told
        kubectl run web --image=busybox
        kubectl get pods
        kubectl delete pod web --now
        kubectl get nodes --as=ann --as-group=ops
        kubectl version
    ";
    server.shell(script).await?;
    let events = place.events()?;
    let text = std::fs::read_to_string(place.log())?;
    ensure!(!text.contains("nobody-may-read-this") && !text.contains("not-told"));
    ensure!(!text.contains("Bearer"));
    ensure!(
        events
            .iter()
            .all(|event| event["stage"] != "RequestReceived")
    );
    ensure!(
        events
            .iter()
            .all(|event| event["requestURI"] != "/version?timeout=32s")
    );
    let secret = about(&events, "secrets", "create");
    ensure!(
        secret.len() == 1 && secret[0]["level"] == "Metadata",
        "{secret:?}"
    );
    ensure!(secret[0]["objectRef"]["name"] == "s", "{secret:?}");
    let maps = about(&events, "configmaps", "create");
    ensure!(maps[0]["requestObject"]["data"]["k"] == "told", "{maps:?}");
    ensure!(maps[0]["responseObject"].is_null(), "{maps:?}");
    let pod = about(&events, "pods", "create");
    ensure!(
        pod[0]["responseObject"]["metadata"]["name"] == "web",
        "{pod:?}"
    );
    let enforced = &pod[0]["annotations"]["pod-security.kubernetes.io/enforce-policy"];
    ensure!(enforced == "privileged:latest", "{pod:?}");
    let list = about(&events, "pods", "list");
    ensure!(list[0]["responseObject"]["kind"] == "Table", "{list:?}");
    let refused = about(&events, "nodes", "list");
    ensure!(
        refused[0]["impersonatedUser"]["username"] == "ann",
        "{refused:?}"
    );
    let decision = &refused[0]["annotations"]["authorization.k8s.io/decision"];
    ensure!(decision == "forbid", "{refused:?}");
    ensure!(refused[0]["responseStatus"]["code"] == 403, "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_log_that_is_full_is_put_aside() -> Result<()> {
    let place = Place::new()?;
    let flags = ["--audit-log-maxsize=1", "--audit-log-maxbackup=1"];
    let server = place.server(&flags).await?;
    // Three megabytes of pods are told.
    let script = "
        head -c 200000 /dev/zero | tr '\\0' x > long
        for i in 1 2 3 4 5 6 7; do
            kubectl run web$i --image=busybox --annotations=long=$(head -c 100000 long)
        done
        kubectl get pods -o json > /dev/null
    ";
    server.shell(script).await?;
    let logs = std::fs::read_dir(place.log().parent().context("a folder")?)?;
    let logs: Vec<PathBuf> = logs.map(|log| Ok(log?.path())).collect::<Result<_>>()?;
    ensure!(logs.len() == 2, "{logs:?}");
    for log in logs {
        ensure!(log.metadata()?.len() <= 1 << 20, "{}", log.display());
        events(&log)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_log_without_room_keeps_whole_lines_and_goes_on_when_there_is_room() -> Result<()> {
    const READS: &str = "for i in 1 2 3 4 5 6; do kubectl get pods -o json > /dev/null; done";
    let place = Place::new()?;
    // In blocks of 512 bytes: two megabytes for each file of the process, so that a write of a large event breaks off.
    let server = place.server_after("ulimit -f 4096", &[]).await?;
    let script = "
        head -c 100000 /dev/zero | tr '\\0' x > long
        for i in 1 2 3 4 5; do kubectl run web$i --image=busybox --annotations=long=$(cat long); done
    ";
    server.shell(script).await?.ok()?;
    server.shell(READS).await?.ok()?;
    let full = place.events()?;
    let told = about(&full, "pods", "list").len();
    ensure!((1..6).contains(&told), "{told} of six were told");
    let text = std::fs::read_to_string(place.log())?;
    ensure!(text.ends_with('\n'), "part of an event stays");
    let lost = server
        .shell("kubectl get --raw /metrics | grep '^apiserver_audit_error_total'")
        .await?
        .ok()?;
    ensure!(lost.contains("plugin=\"log\""), "{lost}");
    // As `logrotate` does with `copytruncate`.
    std::fs::write(place.log(), "")?;
    server
        .shell("kubectl get pods -o json > /dev/null")
        .await?
        .ok()?;
    let told = about(&place.events()?, "pods", "list").len();
    ensure!(told == 1, "{told} of one were told");
    Ok(())
}

#[tokio::test]
async fn a_log_that_is_killed_is_whole_and_goes_on() -> Result<()> {
    let place = Place::new()?;
    let mut server = place.server(&[]).await?;
    let script = "for i in $(seq 1000); do kubectl create configmap m$i && echo made $i; done";
    let (mut writing, mut made) = server.follow(script)?;
    for _ in 0..5 {
        made.next_line().await?.context("writes go on")?;
    }
    server.restart().await?;
    writing.kill().await?;
    let before = place.events()?;
    let told = about(&before, "configmaps", "create").len();
    ensure!(told >= 2, "{told} of five were told");
    server.shell("kubectl create configmap after").await?.ok()?;
    let text = std::fs::read_to_string(place.log())?;
    let torn = text
        .lines()
        .filter(|line| serde_json::from_str::<Value>(line).is_err());
    ensure!(torn.count() <= 1, "more than one line is torn");
    let last: Value = serde_json::from_str(text.lines().last().context("a line")?)?;
    ensure!(last["kind"] == "Event", "{last}");
    Ok(())
}

/// What a server says that does not start.
async fn refused(flags: &[&str]) -> Result<String> {
    let data = tempfile::tempdir()?;
    let mut command = Command::new(cluster::binary().await?);
    command
        .args(["server", "--port=0", "--data-dir"])
        .arg(data.path())
        .args(flags);
    let printed = cluster::printed(command, "").await?;
    ensure!(printed.code != 0, "{printed:?}");
    Ok(printed.stderr)
}

#[tokio::test]
async fn a_server_that_cannot_audit_says_why_and_does_not_start() -> Result<()> {
    let place = Place::new()?;
    let file = |name: &str| place.directory.path().join(name).display().to_string();
    std::fs::write(
        file("bad.yaml"),
        POLICY.replace("level: Request\n", "level: All\n"),
    )?;
    std::fs::write(file("other.yaml"), "apiVersion: v1\nkind: ConfigMap\n")?;
    let good = format!("--audit-policy-file={}", place.policy().display());
    let policy = |name: &str| format!("--audit-policy-file={}", file(name));
    let log = format!("--audit-log-path={}", file("policy.yaml/audit.log"));
    for (flags, words) in [
        (
            vec![policy("none.yaml")],
            vec![
                "loading audit policy file",
                "failed to read file path",
                "none.yaml",
            ],
        ),
        (
            vec![policy("bad.yaml")],
            vec!["rules[4].level: Unsupported value: \"All\""],
        ),
        (
            vec![policy("other.yaml")],
            vec!["no kind \"ConfigMap\" is registered for version \"v1\""],
        ),
        (
            vec![good.clone(), log],
            vec!["cannot make the audit log's directory"],
        ),
        (
            vec![
                good,
                "--audit-log-path=-".into(),
                "--audit-log-format=xml".into(),
            ],
            vec!["invalid audit log format xml, allowed formats are \"legacy,json\""],
        ),
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let said = refused(&flags).await?;
        for words in words {
            ensure!(said.contains(words), "{words} is missing in {said}");
        }
    }
    Ok(())
}
