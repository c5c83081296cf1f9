//! A full disk under the store: writes are refused in words, reads go on, and writes come back with the space.
//!
//! The disk is a small one in memory, mounted where only the server sees it. Needs root.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use sampan_e2e::cluster::{self, Printed, line};
use sampan_e2e::tools;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Names of config maps, enough to fill what the log has reserved.
const NAMES: [&str; 16] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
];

/// The server, and how to reach it and its disk.
struct Server {
    process: Child,
    kubeconfig: PathBuf,
    disk: PathBuf,
}

impl Server {
    async fn kubectl(&self, arguments: &[&str]) -> Result<Printed> {
        let mut command = Command::new(tools::path("kubectl")?);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments);
        cluster::printed(command, "").await
    }

    /// Fills the disk to its last byte; the file takes the space until it is removed.
    fn fill(&self) -> Result<PathBuf> {
        let path = self.disk.join("ballast");
        let mut file = std::fs::File::create(&path)?;
        for size in [64 << 10, 4096, 1] {
            let block = vec![1; size];
            loop {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => bail!(error),
                }
            }
        }
        Ok(path)
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() -> Result<()> {
    let binary = cluster::binary().await?;
    let place = tempfile::tempdir()?;
    let (data, kubeconfig) = (place.path().join("data"), place.path().join("kubeconfig"));
    std::fs::create_dir(&data)?;
    let script = "mount -t tmpfs -o size=16m none \"$DATA\" && \
        exec \"$0\" server --port 0 --data-dir \"$DATA\" --kubeconfig \"$FILE\"";
    let mut process = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(binary)
        .env("DATA", &data)
        .env("FILE", &kubeconfig)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("the output is piped")?;
    line(&mut BufReader::new(stdout).lines(), "is ready").await?;
    let pid = process.id().context("it runs")?;
    // The disk as the server sees it.
    let inside = data.strip_prefix("/")?;
    let disk = PathBuf::from(format!("/proc/{pid}/root")).join(inside);
    let mut server = Server {
        process,
        kubeconfig,
        disk,
    };
    let outcome = story(&server).await;
    server.process.kill().await?;
    outcome
}

async fn story(server: &Server) -> Result<()> {
    let create = |name: &'static str| {
        // Large enough for the rest of what the log has reserved.
        let literal = format!("--from-literal=a={}", "x".repeat(100_000));
        async move {
            server
                .kubectl(&["create", "configmap", name, &literal])
                .await
        }
    };
    create("before").await?.ok()?;
    let ballast = server.fill()?;
    let mut refused = None;
    for name in NAMES {
        let printed = create(name).await?;
        if printed.code != 0 {
            refused = Some((name, printed));
            break;
        }
    }
    let (name, refused) = refused.context("writes go on though the disk is full")?;
    let words = "Internal error occurred: the store's disk is full";
    ensure!(refused.stderr.contains(words), "{refused:?}");
    let before = server
        .kubectl(&["get", "configmap", "before", "-o=name"])
        .await?
        .ok()?;
    ensure!(before == "configmap/before\n", "{before}");
    let missing = server.kubectl(&["get", "configmap", name]).await?;
    ensure!(
        missing.stderr.contains("(NotFound)"),
        "a refused write is there: {missing:?}"
    );
    std::fs::remove_file(ballast)?;
    create(name).await?.ok()?;
    server
        .kubectl(&["delete", "configmap", "before"])
        .await?
        .ok()
        .map(drop)
}
