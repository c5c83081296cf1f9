//! A full disk under the store: writes are refused in words, reads go on, and writes come back with the space.
//!
//! The disk is a small one in memory, mounted where only the server sees it. Needs root.

use std::io::Write as _;
use std::path::{Path, PathBuf};
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

/// What writes are told then.
const FULL: &str = "Internal error occurred: the store's disk is full";

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
    let place = tempfile::tempdir()?;
    let mut server = start("mount -t tmpfs -o size=16m none \"$DATA\"", place.path()).await?;
    let outcome = story(&server).await;
    server.process.kill().await?;
    outcome
}

#[tokio::test]
async fn a_bound_on_files_does_not_end_the_server() -> Result<()> {
    let place = tempfile::tempdir()?;
    // In blocks of 512 bytes: room for the small files that a log begins with, not for those it goes on with.
    let mut server = start("ulimit -f 4096", place.path()).await?;
    for name in NAMES {
        create(&server, name).await?.ok()?;
    }
    server.process.kill().await.map_err(Into::into)
}

/// A server in a mount namespace and a place of its own, started after a change there.
async fn start(change: &str, place: &Path) -> Result<Server> {
    let binary = cluster::binary().await?;
    let (data, kubeconfig) = (place.join("data"), place.join("kubeconfig"));
    std::fs::create_dir(&data)?;
    let script = format!(
        "{change} && exec \"$0\" server --port 0 --data-dir \"$DATA\" --kubeconfig \"$FILE\""
    );
    let mut process = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
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
    Ok(Server {
        process,
        kubeconfig,
        disk,
    })
}

async fn create(server: &Server, name: &str) -> Result<Printed> {
    // Large enough for the rest of what the log has reserved.
    let literal = format!("--from-literal=a={}", "x".repeat(100_000));
    server
        .kubectl(&["create", "configmap", name, &literal])
        .await
}

/// Writes until that is refused; answers with what was not written.
async fn fill_log(server: &Server) -> Result<(&'static str, Printed)> {
    for name in NAMES {
        let printed = create(server, name).await?;
        if printed.code != 0 {
            return Ok((name, printed));
        }
    }
    bail!("writes go on though there is no room")
}

async fn story(server: &Server) -> Result<()> {
    create(server, "before").await?.ok()?;
    let ballast = server.fill()?;
    let (name, refused) = fill_log(server).await?;
    ensure!(refused.stderr.contains(FULL), "{refused:?}");
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
    create(server, name).await?.ok()?;
    server
        .kubectl(&["delete", "configmap", "before"])
        .await?
        .ok()
        .map(drop)
}
