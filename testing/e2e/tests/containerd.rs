//! Real containers, with the machine's containerd: needs root, and fails with a sentence without it.
//!
//! One test function, since it makes and removes things of the whole machine; images come from
//! `cargo xtask images`, which it calls.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use containerd::{Layout, images, teardown};
use cri::{
    Runtime,
    contract::{CASES, Subject},
    v1::{
        AuthConfig, ContainerConfig, ContainerMetadata, ContainerState, ExecRequest, ImageSpec,
        LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig, NamespaceMode,
        NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    },
};
use dataplane::Instance;
use rustix::process::{Pid, Signal};
use streaming::{
    dial::{DialError, dial},
    remote_command::{Channel, Channels, call},
    spdy,
};
use testkit::registry::{Access, PASSWORD, Registry, USER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BUSYBOX: &str = "docker.io/library/busybox:1.36";

#[tokio::test]
async fn a_pod_runs_survives_a_second_start_and_leaves_nothing() -> anyhow::Result<()> {
    let data_dir = tempfile::tempdir()?;
    let layout = Layout::new(Instance::of(data_dir.path())?);
    // A task of its own, so that a failed assertion does not keep the machine from being cleaned.
    let outcome = tokio::spawn({
        let layout = layout.clone();
        async move { Box::pin(pod(&layout)).await }
    })
    .await;
    teardown(&layout).await?;
    outcome??;
    nothing_is_left(&layout)
}

#[tokio::test]
async fn two_instances_run_side_by_side_and_containerd_comes_back() -> anyhow::Result<()> {
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    // A name with blanks, and too long for the path of a socket.
    let strange = one.path().join(format!("a dir {}", "x".repeat(100)));
    fs::create_dir(&strange)?;
    let one = Layout::new(Instance::of(&strange)?);
    let two = Layout::new(Instance::of(two.path())?);
    let outcome = tokio::spawn({
        let (one, two) = (one.clone(), two.clone());
        async move { Box::pin(side_by_side(&one, &two)).await }
    })
    .await;
    teardown(&one).await?;
    teardown(&two).await?;
    outcome??;
    nothing_is_left(&one)?;
    nothing_is_left(&two)
}

async fn side_by_side(one: &Layout, two: &Layout) -> anyhow::Result<()> {
    let (first, second) = tokio::try_join!(containerd::ensure(one), containerd::ensure(two))?;
    assert!(!first.network.subnet.overlaps(second.network.subnet));
    images::import_dir(one, &first.runtime, &archives()?).await?;
    assert!(
        second.runtime.list_images().await?.is_empty(),
        "images are apart"
    );
    let config = sandbox(one);
    fs::create_dir_all(log_dir(one).join("main"))?;
    let sandbox = first.runtime.run_pod_sandbox(config.clone(), "").await?;
    let id = container(&first.runtime, &sandbox, config).await?;
    assert!(
        second.runtime.list_pod_sandboxes(None).await?.is_empty(),
        "pods are apart"
    );

    // As if it had crashed: found by its command line, and ended by its own number.
    let watcher = tokio::spawn(containerd::watch_over(one.clone()));
    let before = containerd_of(one)?.context("containerd runs")?;
    let id_of_process = i32::try_from(before).ok().and_then(Pid::from_raw);
    let id_of_process = id_of_process.context("a process has a number")?;
    rustix::process::kill_process(id_of_process, Signal::KILL)?;
    let back = async {
        loop {
            let after = containerd_of(one)?;
            if after.is_some_and(|after| after != before) {
                return containerd::ensure(one).await.map_err(anyhow::Error::from);
            }
            tokio::task::yield_now().await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(30), back).await??;
    let status = back
        .runtime
        .container_status(&id, false)
        .await?
        .status
        .context("status")?;
    assert_eq!(
        status.state(),
        ContainerState::ContainerRunning,
        "the container did not notice"
    );
    let output = back
        .runtime
        .exec_sync(&id, words("true"), Duration::from_secs(5))
        .await?;
    assert_eq!(output.exit_code, 0);
    watcher.abort();
    Ok(())
}

/// The process of the containerd of an instance.
fn containerd_of(layout: &Layout) -> anyhow::Result<Option<u32>> {
    let config = layout
        .persistent()
        .join("config.toml")
        .display()
        .to_string();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if line.contains("--config") && line.contains(&config) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

async fn pod(layout: &Layout) -> anyhow::Result<()> {
    let ready = containerd::ensure(layout).await?;
    let runtime = ready.runtime;
    import(layout, &runtime).await?;
    pull(&runtime).await?;

    let config = sandbox(layout);
    fs::create_dir_all(log_dir(layout).join("main"))?;
    let sandbox = runtime.run_pod_sandbox(config.clone(), "").await?;
    let status = runtime
        .pod_sandbox_status(&sandbox, false)
        .await?
        .status
        .context("status")?;
    let ip = status.network.context("network")?.ip.parse()?;
    assert!(
        ready.network.subnet.contains(ip),
        "{ip} in {}",
        ready.network.subnet
    );

    let id = container(&runtime, &sandbox, config.clone()).await?;
    let broken = broken_start(layout, &runtime, &sandbox, config.clone(), "broken").await?;
    runtime.remove_container(&broken).await?;
    let gone = runtime.container_status(&broken, false).await;
    assert!(gone.is_err_and(|error| error.is_not_found()));
    // Another is left to who takes everything down.
    broken_start(layout, &runtime, &sandbox, config, "left").await?;
    let output = runtime
        .exec_sync(&id, words("cat /proc/1/comm"), Duration::from_secs(5))
        .await?;
    assert_eq!(
        (output.stdout.as_slice(), output.exit_code),
        (b"sh\n".as_slice(), 0)
    );
    let output = runtime
        .exec_sync(&id, words("ls /nowhere"), Duration::from_secs(5))
        .await?;
    assert_eq!(output.exit_code, 1);

    contract(layout, &runtime).await;
    exec_over_spdy(&runtime, &id).await?;
    port_forward(&runtime, &sandbox).await?;

    // A second start, as after kill -9 of ours: the same containerd, the same container.
    let again = containerd::ensure(layout).await?;
    assert_eq!(again.network, ready.network);
    let status = again
        .runtime
        .container_status(&id, false)
        .await?
        .status
        .context("status")?;
    assert_eq!(status.state(), ContainerState::ContainerRunning);

    again
        .runtime
        .stop_container(&id, Duration::from_secs(5))
        .await?;
    let status = again
        .runtime
        .container_status(&id, false)
        .await?
        .status
        .context("status")?;
    assert_eq!(
        (status.state(), status.exit_code),
        (ContainerState::ContainerExited, 7)
    );
    let log = fs::read_to_string(log_dir(layout).join("main/0.log"))?;
    assert!(log.contains(" stdout F ready\n"), "{log}");
    Ok(())
}

/// The archives are loaded once, and what is no archive is refused.
async fn import(layout: &Layout, runtime: &Runtime) -> anyhow::Result<()> {
    let loaded = images::import_dir(layout, runtime, &archives()?).await?;
    assert!(
        loaded.iter().any(|reference| reference == BUSYBOX),
        "{loaded:?}"
    );
    let loaded = images::import_dir(layout, runtime, &archives()?).await?;
    assert!(loaded.is_empty(), "they are there already: {loaded:?}");
    let text = layout.persistent().join("text");
    fs::write(&text, "no archive")?;
    let error = images::import(layout, runtime, &text)
        .await
        .expect_err("text is no archive");
    assert!(error.to_string().contains("is no image archive"), "{error}");
    Ok(())
}

/// Pulls that work, and those that fail in the ways the kubelet tells apart.
async fn pull(runtime: &Runtime) -> anyhow::Result<()> {
    let open = Registry::start(Access::Open)?;
    let archive = archives()?.join("hello-v1.tar");
    let reference = open.push(&archive, "team/hello:v1")?;
    runtime.pull_image(&reference, None, None).await?;
    assert!(runtime.image_status(&reference).await?.is_some());
    let missing = format!("{}/team/hello:v9", open.address());
    let error = runtime
        .pull_image(&missing, None, None)
        .await
        .expect_err("no such tag");
    assert!(
        error.is_not_found() && error.message().ends_with("not found"),
        "{error}"
    );

    let private = Registry::start(Access::Private)?;
    let reference = private.push(&archive, "team/hello:v1")?;
    let error = runtime
        .pull_image(&reference, None, None)
        .await
        .expect_err("no credentials");
    assert!(error.message().contains("401 Unauthorized"), "{error}");
    let auth = AuthConfig {
        username: USER.to_owned(),
        password: PASSWORD.to_owned(),
        ..AuthConfig::default()
    };
    runtime.pull_image(&reference, Some(auth), None).await?;

    let gone = format!("{}/team/hello:v2", private.address());
    drop(private);
    let error = runtime
        .pull_image(&gone, None, None)
        .await
        .expect_err("no registry");
    assert!(error.message().contains("connection refused"), "{error}");
    Ok(())
}

async fn contract(layout: &Layout, runtime: &Runtime) {
    let subject = Subject {
        runtime: runtime.clone(),
        image: BUSYBOX.to_owned(),
        log_dir: log_dir(layout),
        cgroup_root: layout.instance().cgroup_root(),
    };
    for (name, case) in CASES {
        eprintln!("{name}");
        case(subject.clone()).await;
    }
}

/// A command with a terminal of a given size, which reads it and fails.
async fn exec_over_spdy(runtime: &Runtime, id: &str) -> anyhow::Result<()> {
    let request = ExecRequest {
        container_id: id.to_owned(),
        cmd: words("sh -c")
            .into_iter()
            .chain(["read x; stty size; exit 5".to_owned()])
            .collect(),
        tty: true,
        stdin: true,
        stdout: true,
        stderr: false,
    };
    let url = runtime.exec(request).await?;
    let channels = Channels::default()
        .with(Channel::Stdin, true)
        .with(Channel::Stdout, true)
        .with(Channel::Resize, true);
    let (io, protocol) = dial(&url, ["v4.channel.k8s.io"]).await?;
    assert_eq!(protocol.context("protocol")?, "v4.channel.k8s.io");
    let (connection, _incoming) = spdy::start(io, spdy::Role::Client)?;
    let calling = call(&connection, channels).await?;
    let mut resize = calling.resize.context("resize")?;
    resize.write_all(b"{\"Width\":81,\"Height\":25}\n").await?;
    // The size goes another way than the input, so it is asked for only when it is there.
    let mut size = String::new();
    while !size.contains("25 81") {
        let probe = words("sh -c")
            .into_iter()
            .chain(["for t in /dev/pts/[0-9]*; do stty size -F $t; done".to_owned()]);
        let output = runtime
            .exec_sync(id, probe.collect(), Duration::from_secs(5))
            .await?;
        size = String::from_utf8(output.stdout)?;
    }
    // Held open: with a terminal, the end of the input detaches the output.
    let mut stdin = calling.stdin.context("stdin")?;
    stdin.write_all(b"go\n").await?;
    let (mut stdout, mut error) = (calling.stdout.context("stdout")?, calling.error);
    let (mut text, mut status) = (String::new(), String::new());
    stdout.read_to_string(&mut text).await?;
    error.read_to_string(&mut status).await?;
    assert!(text.contains("25 81"), "{text}");
    assert!(
        status.contains("NonZeroExitCode") && status.contains("\"5\""),
        "{status}"
    );
    let again = dial(&url, ["v4.channel.k8s.io"]).await.map(|_| ());
    assert!(
        matches!(again, Err(DialError::Refused { .. })),
        "URLs are for one use: {again:?}"
    );
    Ok(())
}

/// A connection to the port of the server in the pod.
async fn port_forward(runtime: &Runtime, sandbox: &str) -> anyhow::Result<()> {
    let url = runtime.port_forward(sandbox, vec![8080]).await?;
    let (io, _) = dial(&url, ["portforward.k8s.io"]).await?;
    let (connection, _incoming) = spdy::start(io, spdy::Role::Client)?;
    let headers =
        |kind| spdy::Headers::new([("streamtype", kind), ("port", "8080"), ("requestid", "0")]);
    let mut error = connection.open(headers("error")).await?;
    let mut data = connection.open(headers("data")).await?;
    data.write_all(b"GET /hello HTTP/1.0\r\n\r\n").await?;
    let (mut text, mut message) = (String::new(), String::new());
    tokio::try_join!(
        data.read_to_string(&mut text),
        error.read_to_string(&mut message),
    )?;
    assert_eq!(message, "");
    ensure!(text.ends_with("hello from the pod\n"), "{text}");
    Ok(())
}

async fn container(
    runtime: &Runtime,
    sandbox: &str,
    config: PodSandboxConfig,
) -> anyhow::Result<String> {
    let id = create(runtime, sandbox, config, "main").await?;
    runtime.start_container(&id).await?;
    Ok(id)
}

/// What a start leaves that broke off, as whoever asked for it was killed: a task that CRI does not know of.
async fn broken_start(
    layout: &Layout,
    runtime: &Runtime,
    sandbox: &str,
    config: PodSandboxConfig,
    name: &str,
) -> anyhow::Result<String> {
    let id = create(runtime, sandbox, config, name).await?;
    let mut ctr = tokio::process::Command::new("ctr");
    ctr.arg("--address").arg(layout.socket());
    ctr.args([
        "--namespace",
        "k8s.io",
        "tasks",
        "start",
        "--detach",
        "--null-io",
        &id,
    ]);
    let started = ctr.status().await.context("no ctr")?;
    ensure!(started.success(), "no task started: {started}");
    Ok(id)
}

async fn create(
    runtime: &Runtime,
    sandbox: &str,
    config: PodSandboxConfig,
    name: &str,
) -> anyhow::Result<String> {
    let script = "trap 'exit 7' TERM; echo hello from the pod > /tmp/hello; httpd -p 8080 -h /tmp; echo ready; while true; do sleep 1; done";
    let container = ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: name.to_owned(),
            attempt: 0,
        }),
        image: Some(ImageSpec {
            image: BUSYBOX.to_owned(),
            ..ImageSpec::default()
        }),
        command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        log_path: "main/0.log".to_owned(),
        linux: Some(LinuxContainerConfig {
            security_context: Some(LinuxContainerSecurityContext {
                namespace_options: Some(NamespaceOption {
                    // The wire's default is a process namespace shared by the whole pod.
                    pid: NamespaceMode::Container.into(),
                    ..NamespaceOption::default()
                }),
                ..LinuxContainerSecurityContext::default()
            }),
            ..LinuxContainerConfig::default()
        }),
        ..ContainerConfig::default()
    };
    Ok(runtime.create_container(sandbox, container, config).await?)
}

fn sandbox(layout: &Layout) -> PodSandboxConfig {
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: "web".to_owned(),
            uid: "0f3c".to_owned(),
            namespace: "default".to_owned(),
            attempt: 0,
        }),
        hostname: "web".to_owned(),
        log_directory: log_dir(layout).display().to_string(),
        labels: HashMap::from([("app".to_owned(), "web".to_owned())]),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("{}/pod0f3c", layout.instance().cgroup_root()),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}

fn log_dir(layout: &Layout) -> PathBuf {
    layout.instance().data_dir().join("logs")
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The directory of the archives, which are built first.
fn archives() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = workspace.join("target/image-archives");
    let status = Command::new(env!("CARGO"))
        .current_dir(&workspace)
        .args(["xtask", "images"])
        .arg(&dir)
        .status()?;
    ensure!(status.success(), "cargo xtask images failed");
    Ok(dir)
}

fn nothing_is_left(layout: &Layout) -> anyhow::Result<()> {
    let instance = layout.instance();
    assert!(!instance.run_dir().exists());
    let links = Command::new("ip").args(["-br", "link"]).output()?.stdout;
    assert!(!String::from_utf8(links)?.contains(&instance.bridge()));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    assert!(
        !mounts.contains(&instance.data_dir().display().to_string()),
        "{mounts}"
    );
    for entry in fs::read_dir("/proc")? {
        let line = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        assert!(
            !line.contains(&instance.run_dir().display().to_string()),
            "{line}"
        );
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup")? {
        let group = hierarchy?
            .path()
            .join(instance.cgroup_root().trim_start_matches('/'));
        assert!(!group.exists(), "{}", group.display());
    }
    Ok(())
}
