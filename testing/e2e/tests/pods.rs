//! Pods of a real cluster as the real kubectl sees them: logs, exec, port-forward, volumes, restarts.
//!
//! Needs root and containerd, and fails with a sentence without them. One test function, since a
//! cluster takes a while to start.

use anyhow::{Context as _, Result, ensure};
use http::Request;
use sampan_e2e::cluster::{Cluster, WAIT, images as images_dir, line, printed as printed_by};
use testkit::connection::{Body, Dialer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

const PODS: &str = include_str!("pods/pods.yaml");
const JOBS: &str = include_str!("pods/jobs.yaml");

#[tokio::test]
async fn pods_live_as_kubectl_expects() -> Result<()> {
    Cluster::host(async |cluster| story(cluster).await).await
}

async fn story(cluster: &mut Cluster) -> Result<()> {
    cluster
        .kubectl_with(&["apply", "-f", "-"], PODS)
        .await?
        .ok()?;
    ready(cluster, &["pod/web", "pod/hello"]).await?;
    exec(cluster).await?;
    scraped(cluster).await?;
    proxied(cluster).await?;
    given(cluster).await?;
    reused(cluster).await?;
    volumes(cluster).await?;
    logs(cluster).await?;
    port_forward(cluster).await?;
    broken(cluster).await?;
    guarded(cluster).await?;
    jobs(cluster).await?;
    refused(cluster).await?;
    attach(cluster).await?;
    in_cluster(cluster).await?;
    images(cluster).await?;
    restart(cluster).await?;
    cluster
        .kubectl(&["delete", "pods", "--all", "--timeout=60s"])
        .await?
        .ok()
        .map(drop)
}

async fn ready(cluster: &Cluster, pods: &[&str]) -> Result<()> {
    let mut arguments = vec!["wait", "--for=condition=Ready", "--timeout=60s"];
    arguments.extend(pods);
    cluster.kubectl(&arguments).await?.ok().map(drop)
}

async fn sh(cluster: &Cluster, script: &str) -> Result<String> {
    cluster
        .kubectl(&["exec", "web", "--", "sh", "-c", script])
        .await?
        .ok()
}

/// Requests that the API server carries to a pod.
async fn proxied(cluster: &Cluster) -> Result<()> {
    let pods = "/api/v1/namespaces/default/pods";
    let path = format!("{pods}/hello:9/proxy/");
    let nobody = cluster.kubectl(&["get", "--raw", &path]).await?;
    let words = "Error from server (ServiceUnavailable): error trying to reach service: dial tcp ";
    ensure!(nobody.stderr.starts_with(words), "{}", nobody.stderr);
    let dialer = Dialer::read(&cluster.kubeconfig()).await?;
    let path = format!("{pods}/hello:8080/proxy");
    for (method, end, code) in [
        ("GET", "/", 200),
        ("GET", "", 301),
        ("OPTIONS", "/", 400),
        ("TRACE", "/", 405),
    ] {
        let uri = format!("{path}{end}");
        let request = Request::builder().method(method).uri(&uri);
        let request = request.body(Body::default())?;
        let answer = dialer.open().await?.send(request).await?;
        ensure!(
            answer.status() == code,
            "{method} {uri}: {}",
            answer.status()
        );
    }
    Ok(())
}

/// A resource that somebody gives the node, and takes away again.
async fn given(cluster: &Cluster) -> Result<()> {
    let arguments = ["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"];
    let node = cluster.kubectl(&arguments).await?.ok()?;
    let shown = r#"jsonpath=thing={.status.allocatable.example\.com/thing};{"\n"}"#;
    let (mut follower, mut lines) = cluster.follow(&["get", "node", &node, "-w", "-o", shown])?;
    for (amount, wanted) in [("\"3\"", "thing=3;"), ("null", "thing=;")] {
        let patch = format!(r#"{{"status": {{"capacity": {{"example.com/thing": {amount}}}}}}}"#);
        let patch = ["--subresource=status", "--type=merge", "-p", &patch];
        let arguments = [["patch", "node", &node].as_slice(), &patch].concat();
        cluster.kubectl(&arguments).await?.ok()?;
        line(&mut lines, wanted).await?;
    }
    follower.kill().await?;
    Ok(())
}

/// A pod may have an address that the machine still takes for another's.
async fn reused(cluster: &Cluster) -> Result<()> {
    let jsonpath = ["-o", "jsonpath={.status.podIP}"];
    let address = async |pod: &str| {
        let arguments = [&["get", "pod", pod], jsonpath.as_slice()].concat();
        cluster.kubectl(&arguments).await?.ok()
    };
    let known = address("hello").await?;
    let (network, _) = known.rsplit_once('.').context("no address")?;
    let route = ip(&["-4", "route", "get", &known]).await?;
    let mut words = route.split(' ').skip_while(|word| *word != "dev");
    let bridge = words.nth(1).context("no bridge")?;
    let neighbours = ip(&["neigh", "show", "dev", bridge]).await?;
    for last in 2..=254 {
        let address = format!("{network}.{last}");
        if !neighbours.contains(&format!("{address} ")) {
            let entry = [
                "neigh", "replace", &address, "lladdr", GONE, "dev", bridge, "nud", "stale",
            ];
            ip(&entry).await?;
        }
    }
    let run = [
        "run",
        "fresh",
        "--image=busybox:1.36",
        "--restart=Never",
        "--",
        "sleep",
        "100",
    ];
    cluster.kubectl(&run).await?.ok()?;
    ready(cluster, &["pod/fresh"]).await?;
    let entry = ip(&["neigh", "show", &address("fresh").await?, "dev", bridge]).await?;
    ensure!(
        !entry.contains(GONE),
        "the machine asks who is gone: {entry}"
    );
    Ok(())
}

/// The hardware address of a pod that is gone.
const GONE: &str = "02:00:00:00:00:99";

async fn ip(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("ip");
    command.args(arguments);
    printed_by(command, "").await?.ok()
}

/// What metrics servers and dashboards read of the node and its pods.
async fn scraped(cluster: &Cluster) -> Result<()> {
    let arguments = ["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"];
    let node = cluster.kubectl(&arguments).await?.ok()?;
    let read = async |path: &str| {
        let path = format!("/api/v1/nodes/{node}/proxy/{path}");
        cluster.kubectl(&["get", "--raw", &path]).await?.ok()
    };
    let own = read("metrics").await?;
    let resource = read("metrics/resource").await?;
    let cadvisor = read("metrics/cadvisor").await?;
    for (text, wanted) in [
        (
            &own,
            "kubelet_running_containers{container_state=\"running\"} ",
        ),
        (&own, "kubelet_started_pods_total "),
        (
            &own,
            "kubelet_runtime_operations_total{operation_type=\"run_podsandbox\"} ",
        ),
        (
            &resource,
            "container_memory_working_set_bytes{container=\"main\",namespace=\"default\",pod=\"web\"} ",
        ),
        (
            &resource,
            "pod_cpu_usage_seconds_total{namespace=\"default\",pod=\"web\"} ",
        ),
        (&resource, "node_memory_working_set_bytes "),
        (
            &cadvisor,
            "container_cpu_usage_seconds_total{container=\"main\",cpu=\"total\",image=\"",
        ),
        (&cadvisor, "container_network_receive_bytes_total{"),
    ] {
        ensure!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    let foreign = [
        scrape::facts::foreign(&own),
        scrape::facts::foreign(&resource),
    ]
    .concat();
    ensure!(
        foreign.is_empty(),
        "not as upstream serves it: {foreign:#?}"
    );
    Ok(())
}

async fn exec(cluster: &Cluster) -> Result<()> {
    let arguments = [
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ];
    let printed = cluster.kubectl(&arguments).await?;
    assert_eq!((printed.code, printed.stdout.as_str()), (3, "out\n"));
    assert_eq!(printed.stderr, "err\ncommand terminated with exit code 3\n");
    let echoed = cluster
        .kubectl_with(&["exec", "-i", "web", "--", "cat"], "from outside\n")
        .await?;
    assert_eq!(echoed.ok()?, "from outside\n");
    let nothing = cluster
        .kubectl(&["exec", "web", "--", "no-such-program"])
        .await?;
    assert!(
        nothing.code != 0 && nothing.stderr.contains("no-such-program"),
        "{nothing:?}"
    );
    Ok(())
}

async fn volumes(cluster: &Cluster) -> Result<()> {
    assert_eq!(
        sh(cluster, "cat /cfg/greeting /secret/password").await?,
        "hello\nsesame\n"
    );
    assert_eq!(
        sh(cluster, "stat -c %a /cfg/..data/greeting").await?,
        "440\n"
    );
    assert_eq!(sh(cluster, "cat /info/labels").await?, "app=\"web\"");
    assert_eq!(
        sh(cluster, "echo $GREETING $POD_NAME").await?,
        "hello web\n"
    );
    assert_eq!(sh(cluster, "grep -c memory-dir /proc/mounts").await?, "1\n");
    assert_eq!(
        sh(cluster, "touch /part/x && ls /whole/inner").await?,
        "x\n"
    );
    let account =
        "cd /var/run/secrets/kubernetes.io/serviceaccount && cat namespace && wc -l < ca.crt";
    assert!(sh(cluster, account).await?.starts_with("default"));
    let patch = r#"{"data":{"greeting":"good day\n"}}"#;
    cluster
        .kubectl(&["patch", "configmap", "cfg", "-p", patch])
        .await?
        .ok()?;
    // Waits inside the container, without a restart.
    let renewed = sh(
        cluster,
        "until grep -q 'good day' /cfg/greeting; do sleep 0.1; done; echo $GREETING",
    );
    assert_eq!(renewed.await?, "hello\n");
    cluster
        .kubectl(&["label", "pod", "web", "tide=high"])
        .await?
        .ok()?;
    let labels = sh(
        cluster,
        "until grep -q tide /info/labels; do sleep 0.1; done; cat /info/labels",
    );
    assert_eq!(labels.await?, "app=\"web\"\ntide=\"high\"");
    Ok(())
}

/// Jobs end as their policies tell, and so do the containers that still run then.
async fn jobs(cluster: &Cluster) -> Result<()> {
    cluster
        .kubectl_with(&["apply", "-f", "-"], JOBS)
        .await?
        .ok()?;
    let ends = [
        ("judged", "Failed", "PodFailurePolicy 2  "),
        ("limited", "Failed", "FailedIndexes 1 0 1"),
        ("enough", "Complete", "SuccessPolicy  1 "),
    ];
    for (name, kind, expected) in ends {
        let (wait, job) = (format!("--for=condition={kind}"), format!("job/{name}"));
        let waiting = ["wait", &wait, &job, "--timeout=60s"];
        cluster.kubectl(&waiting).await?.ok()?;
        let fields = format!(
            "jsonpath={{.status.conditions[?(@.type=='{kind}')].reason}} \
             {{.status.failed}} {{.status.completedIndexes}} {{.status.failedIndexes}}"
        );
        let seen = cluster.kubectl(&["get", &job, "-o", &fields]).await?.ok()?;
        assert_eq!(seen, expected, "{name}");
    }
    let all = ["delete", "jobs", "--all", "--timeout=60s"];
    cluster.kubectl(&all).await?.ok().map(drop)
}

async fn logs(cluster: &Cluster) -> Result<()> {
    let followed = cluster.kubectl(&["logs", "-f", "counter"]).await?.ok()?;
    assert_eq!(followed, "1\n2\n3\n4\n5\n");
    let tail = cluster
        .kubectl(&["logs", "--tail=2", "counter"])
        .await?
        .ok()?;
    assert_eq!(tail, "4\n5\n");
    let timed = cluster
        .kubectl(&["logs", "--timestamps", "--tail=1", "counter"])
        .await?
        .ok()?;
    let (time, text) = timed.split_once(' ').context("a time and a text")?;
    assert!(time.ends_with('Z') && text == "5\n", "{timed}");
    let limited = cluster
        .kubectl(&["logs", "--limit-bytes=3", "counter"])
        .await?
        .ok()?;
    assert_eq!(limited, "1\n2");
    let previous = cluster.kubectl(&["logs", "--previous", "counter"]).await?;
    assert_eq!(
        previous.stderr,
        "Error from server (BadRequest): previous terminated container \"main\" in pod \"counter\" not found\n"
    );
    let restarted = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1";
    cluster
        .kubectl(&["wait", restarted, "pod/crasher", "--timeout=60s"])
        .await?
        .ok()?;
    let previous = cluster
        .kubectl(&["logs", "--previous", "crasher"])
        .await?
        .ok()?;
    assert_eq!(previous, "about to fail\n");
    Ok(())
}

async fn port_forward(cluster: &Cluster) -> Result<()> {
    let (_forwarding, mut lines) = cluster.follow(&["port-forward", "pod/hello", ":8080"])?;
    let told = line(&mut lines, "Forwarding from 127.0.0.1:").await?;
    let address = told
        .split_whitespace()
        .nth(2)
        .context("an address")?
        .to_owned();
    // Twice, since each connection has streams of its own.
    for _ in 0..2 {
        let mut stream = TcpStream::connect(&address).await?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        timeout(WAIT, stream.read_to_string(&mut answer)).await??;
        assert!(answer.ends_with("hello from hello v1\n"), "{answer}");
    }
    Ok(())
}

/// Pods that cannot start say why, in the words people search for.
async fn broken(cluster: &Cluster) -> Result<()> {
    let event = |pod: &str, reason: &str| {
        let selector = format!("--field-selector=involvedObject.name={pod},reason={reason}");
        let format = "-o=jsonpath={.message}{\"\\n\"}";
        cluster.follow(&["get", "events", "-w", &selector, format])
    };
    let (_watching, mut lines) = event("no-map", "FailedMount")?;
    let told = line(&mut lines, "MountVolume").await?;
    let wanted = "MountVolume.SetUp failed for volume \"v\" : configmap \"missing\" not found";
    assert_eq!(told, wanted);
    let waiting = cluster.kubectl(&["logs", "no-map"]).await?;
    assert_eq!(
        waiting.stderr,
        "Error from server (BadRequest): container \"main\" in pod \"no-map\" is waiting to start: ContainerCreating\n"
    );
    let (_watching, mut lines) = event("unhealthy", "Unhealthy")?;
    let told = line(&mut lines, "Readiness probe failed").await?;
    let told_as = told.starts_with("Readiness probe failed: Get \"http://")
        && told.ends_with("connect: connection refused");
    ensure!(told_as, "{told}");
    Ok(())
}

/// Users that are not root read their token; a path inside a volume does not lead out of it.
async fn guarded(cluster: &Cluster) -> Result<()> {
    ready(cluster, &["pod/nonroot"]).await?;
    let (_logs, mut lines) = cluster.follow(&["logs", "-f", "nonroot"])?;
    assert_eq!(line(&mut lines, "").await?, "eyJ");
    let refused = "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CreateContainerConfigError";
    let arguments = ["wait", refused, "pod/escape", "--timeout=60s"];
    cluster.kubectl(&arguments).await?.ok().map(drop)
}

/// Pods that name their node are refused what it does not have.
async fn refused(cluster: &Cluster) -> Result<()> {
    let pod = |name: &str, container: &str, more: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: node-1, {more} \
             terminationGracePeriodSeconds: 1, containers: [{{name: main, image: 'busybox:1.36', \
             command: [sleep, '3600'], {container}}}]}}}}\n---\n"
        )
    };
    let ports = |ip: &str| format!("ports: [{{containerPort: 80, hostPort: 18088, hostIP: {ip}}}]");
    let pods = [
        pod("holder", &ports("127.0.0.1"), ""),
        pod("greedy", "resources: {requests: {cpu: 1000}}", ""),
        pod("choosy", "", "nodeSelector: {disk: slow},"),
        pod("late", &ports("0.0.0.0"), ""),
    ];
    let pods = pods.concat();
    let applied = cluster.kubectl_with(&["apply", "-f", "-"], &pods).await?;
    applied.ok()?;
    for (name, reason) in [
        ("greedy", "OutOfcpu"),
        ("choosy", "NodeAffinity"),
        ("late", "NodePorts"),
    ] {
        let is_told = format!("--for=jsonpath={{.status.reason}}={reason}");
        let arguments = ["wait", &is_told, &format!("pod/{name}"), "--timeout=60s"];
        cluster.kubectl(&arguments).await?.ok()?;
    }
    let status = "-o=jsonpath={.status.phase}: {.status.message}";
    let told = cluster.kubectl(&["get", "pod", "late", status]).await?;
    assert_eq!(
        told.ok()?,
        "Failed: Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    );
    ready(cluster, &["pod/holder"]).await
}

async fn attach(cluster: &Cluster) -> Result<()> {
    ready(cluster, &["pod/parrot"]).await?;
    let printed = cluster
        .kubectl_with(&["attach", "-q", "-i", "parrot"], "who is there\n")
        .await?;
    assert_eq!(printed.ok()?, "you say who is there\n");
    Ok(())
}

/// Pods reach the API server at its cluster IP, which its endpoints stand behind.
async fn in_cluster(cluster: &Cluster) -> Result<()> {
    let reach =
        "nc -w 3 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo reached";
    assert_eq!(sh(cluster, reach).await?, "reached\n");
    let port = "-o=jsonpath={.items[0].ports[0].name} {.items[0].endpoints[0].conditions.ready}";
    let selector = "kubernetes.io/service-name=kubernetes";
    let slice = ["get", "endpointslices", "-l", selector, port];
    assert_eq!(cluster.kubectl(&slice).await?.ok()?, "https true");
    Ok(())
}

/// Images of either format are loaded from files, and pods run from them without a registry.
async fn images(cluster: &Cluster) -> Result<()> {
    let oci = images_dir().await?.join("busybox.tar");
    let oci = oci.to_str().context("a path in text")?;
    let printed = cluster.image(&["import", oci]).await?.ok()?;
    assert_eq!(printed, "imported docker.io/library/busybox:1.36\n");
    let directory = tempfile::tempdir()?;
    let docker = directory.path().join("docker.tar");
    let docker = docker.to_str().context("a path in text")?;
    let (from, to) = (
        format!("oci-archive:{oci}"),
        format!("docker-archive:{docker}:docker.io/library/imported:1"),
    );
    let mut copy = Command::new("skopeo");
    copy.args(["copy", "-q", "--insecure-policy", &from, &to]);
    printed_by(copy, "").await?.ok()?;
    let printed = cluster.image(&["import", docker]).await?.ok()?;
    assert_eq!(printed, "imported docker.io/library/imported:1\n");
    let listed = cluster.image(&["list"]).await?.ok()?;
    ensure!(
        listed.contains("docker.io/library/imported:1\n"),
        "{listed}"
    );
    let run = [
        "run",
        "imported",
        "--image=imported:1",
        "--image-pull-policy=Never",
        "--restart=Never",
        "--",
        "echo",
        "here I am",
    ];
    cluster.kubectl(&run).await?.ok()?;
    let over = [
        "wait",
        "--for=jsonpath={.status.phase}=Succeeded",
        "pod/imported",
        "--timeout=60s",
    ];
    cluster.kubectl(&over).await?.ok()?;
    assert_eq!(
        cluster.kubectl(&["logs", "imported"]).await?.ok()?,
        "here I am\n"
    );
    Ok(())
}

/// The process may be replaced at any moment; containers do not notice.
async fn restart(cluster: &mut Cluster) -> Result<()> {
    let started = "-o=jsonpath={.status.containerStatuses[0].containerID}";
    let before = cluster
        .kubectl(&["get", "pod", "web", started])
        .await?
        .ok()?;
    cluster.restart().await?;
    ready(cluster, &["pod/web", "pod/hello"]).await?;
    let after = cluster
        .kubectl(&["get", "pod", "web", started])
        .await?
        .ok()?;
    assert_eq!(before, after);
    assert_eq!(sh(cluster, "cat /cfg/greeting").await?, "good day\n");
    Ok(())
}
