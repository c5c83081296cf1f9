//! `sampan up` with data of its own, and kubectl speaking to it.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::FutureExt as _;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::tools;

/// Longest wait for anything.
pub const WAIT: Duration = Duration::from_secs(90);

/// A cluster of one node, with the images of `cargo xtask images`.
#[derive(Debug)]
pub struct Cluster {
    data: TempDir,
    binary: PathBuf,
    images: PathBuf,
    kubectl: PathBuf,
    process: Child,
}

/// What a program printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its output.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
}

impl Printed {
    /// The output of a program that must have succeeded.
    ///
    /// # Errors
    /// It did not.
    pub fn ok(self) -> Result<String> {
        ensure!(
            self.code == 0,
            "failed with {}: {}{}",
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }
}

impl Cluster {
    /// Starts a cluster, lets a story happen on it, and takes everything off the machine, however the story ends.
    ///
    /// # Errors
    /// The story's own; what [`Cluster::start`] and [`Cluster::down`] tell.
    ///
    /// # Panics
    /// When the story does, after everything is off the machine.
    pub async fn host(story: impl AsyncFnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let mut cluster = Self::start().await?;
        let outcome = AssertUnwindSafe(Box::pin(story(&mut cluster)));
        let outcome = outcome.catch_unwind().await;
        let cleared = cluster.down().await;
        match outcome {
            Ok(outcome) => outcome.and(cleared),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Builds what is needed and starts a cluster.
    ///
    /// # Errors
    /// Something does not build, or the machine cannot run containers; it takes root.
    pub async fn start() -> Result<Self> {
        let binary = binary().await?;
        let images = images().await?;
        let kubectl = tools::path("kubectl")?;
        let data = tempfile::tempdir()?;
        let process = up(&binary, data.path(), &images).await?;
        Ok(Self {
            data,
            binary,
            images,
            kubectl,
            process,
        })
    }

    /// Kills the process without a warning, and starts it again on the same data; containers go on.
    ///
    /// # Errors
    /// It does not end, or does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.end(Signal::KILL).await?;
        self.process = up(&self.binary, self.data.path(), &self.images).await?;
        Ok(())
    }

    async fn end(&mut self, signal: Signal) -> Result<()> {
        let id = self.process.id().context("sampan ended by itself")?;
        let id = i32::try_from(id).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(id.context("a process has a number")?, signal)?;
        let ended = timeout(WAIT, self.process.wait()).await;
        ended.context("sampan does not end")??;
        Ok(())
    }

    /// Ends the process and takes everything off the machine.
    ///
    /// # Errors
    /// Something stays.
    pub async fn down(mut self) -> Result<()> {
        self.end(Signal::TERM).await?;
        let mut down = Command::new(&self.binary);
        down.arg("down").arg("--data-dir").arg(self.data.path());
        printed(down, "").await?.ok()?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let path = self.data.path().display().to_string();
        ensure!(!mounts.contains(&path), "mounts stay below {path}");
        Ok(())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data.path().join("admin.kubeconfig")
    }

    /// A kubectl of this cluster, not started yet.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .kill_on_drop(true);
        command
    }

    /// Runs Helm to its end, with what it keeps between runs next to the cluster's data.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn helm(&self, arguments: &[&str]) -> Result<Printed> {
        let mut command = Command::new(tools::path("helm")?);
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.data.path().join("helm"));
        }
        command.env("KUBECONFIG", self.kubeconfig()).args(arguments);
        printed(command, "").await
    }

    /// Runs kubectl to its end.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<Printed> {
        self.kubectl_with(arguments, "").await
    }

    /// Runs kubectl with something on its standard input.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<Printed> {
        printed(self.kubectl_command(arguments), input).await
    }

    /// A connection to the cluster's container runtime.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn runtime(&self) -> Result<cri::Runtime> {
        let instance = dataplane::Instance::of(self.data.path())?;
        let socket = containerd::Layout::new(instance).socket();
        Ok(cri::Runtime::connect(&socket).await?)
    }

    /// Runs `sampan image` on the cluster.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn image(&self, arguments: &[&str]) -> Result<Printed> {
        let mut command = Command::new(&self.binary);
        command.arg("image").args(arguments);
        command.arg("--data-dir").arg(self.data.path());
        printed(command, "").await
    }

    /// Runs `sampan status` on the cluster.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn status(&self, arguments: &[&str]) -> Result<Printed> {
        let mut command = Command::new(&self.binary);
        command
            .arg("status")
            .arg("--kubeconfig")
            .arg(self.kubeconfig());
        printed(command_with(command, arguments), "").await
    }

    /// Starts kubectl and gives its output line by line.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn follow(&self, arguments: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        lines_of(self.kubectl_command(arguments))
    }

    /// Starts `sampan status -w` and gives its output line by line.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn follow_status(
        &self,
        arguments: &[&str],
    ) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut command = Command::new(&self.binary);
        command
            .args(["status", "-w", "--kubeconfig"])
            .arg(self.kubeconfig());
        lines_of(command_with(command, arguments))
    }
}

fn lines_of(mut command: Command) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("the output is piped")?;
    Ok((child, BufReader::new(stdout).lines()))
}

/// The binary under test: the one that `SAMPAN_BINARY` names, else one that is built now.
///
/// A build of all tests leaves one that need not be built again; building it alone takes other features of what it uses.
///
/// # Errors
/// It does not build.
pub async fn binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("SAMPAN_BINARY") {
        return PathBuf::from(given)
            .canonicalize()
            .context("SAMPAN_BINARY names no file");
    }
    cargo(&["build", "-q", "-p", "sampan"]).await?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace().join("target"));
    Ok(target.join("debug/sampan").canonicalize()?)
}

/// The directory with the archives of the images that clusters need.
///
/// # Errors
/// They do not build.
pub async fn images() -> Result<PathBuf> {
    let images = workspace().join("target/image-archives");
    let path = images.to_str().context("the workspace's path is no text")?;
    cargo(&["xtask", "images", path]).await?;
    Ok(images)
}

/// The next line that contains a text.
///
/// # Errors
/// There is none, or it takes too long.
pub async fn line(lines: &mut Lines<BufReader<ChildStdout>>, has: &str) -> Result<String> {
    let found = async {
        while let Some(line) = lines.next_line().await? {
            if line.contains(has) {
                return Ok(line);
            }
        }
        bail!("the output ended without {has:?}")
    };
    timeout(WAIT, found)
        .await
        .with_context(|| format!("no line with {has:?}"))?
}

async fn up(binary: &Path, data: &Path, images: &Path) -> Result<Child> {
    let mut command = Command::new(binary);
    command
        .args(["up", "--port", "0", "--node-name", "node-1", "--data-dir"])
        .arg(data)
        .arg("--images")
        .arg(images)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut process = command.spawn()?;
    let stdout = process.stdout.take().context("the output is piped")?;
    line(&mut BufReader::new(stdout).lines(), "is ready").await?;
    Ok(process)
}

fn command_with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments).kill_on_drop(true);
    command
}

/// The root of the project.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn cargo(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(env!("CARGO"));
    let status = command
        .current_dir(workspace())
        .args(arguments)
        .status()
        .await?;
    ensure!(status.success(), "cargo {arguments:?} failed");
    Ok(())
}

/// Runs a program with something on its standard input, to its end.
///
/// # Errors
/// It cannot be run, or takes too long.
pub async fn printed(mut command: Command, input: &str) -> Result<Printed> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("the input is piped")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let shown = format!("{:?}", command.as_std());
    let output = timeout(WAIT, child.wait_with_output()).await;
    let output = output.with_context(|| format!("{shown} takes too long"))??;
    Ok(Printed {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
