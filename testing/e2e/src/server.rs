//! `sampan server` with data of its own, and a shell that speaks to it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;

use crate::cluster::{self, Printed};
use crate::story::{self, Step};
use crate::tools;

/// A control plane without nodes. It needs no root, and ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    directory: TempDir,
    search_path: OsString,
    change: String,
    flags: Vec<String>,
    process: Child,
}

impl Server {
    /// Builds what is needed and starts a server.
    ///
    /// # Errors
    /// It does not build or does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more flags.
    ///
    /// # Errors
    /// It does not build or does not start.
    pub async fn start_with(flags: &[&str]) -> Result<Self> {
        Self::start_after("true", flags).await
    }

    /// The same after a change: a shell command in the process that becomes the server, at every start.
    ///
    /// # Errors
    /// It does not build or does not start.
    pub async fn start_after(change: &str, flags: &[&str]) -> Result<Self> {
        let search_path = tools::search_path()?;
        let directory = tempfile::tempdir()?;
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        let process = run(directory.path(), change, &flags).await?;
        for folder in ["home", "work"] {
            std::fs::create_dir(directory.path().join(folder))?;
        }
        Ok(Self {
            directory,
            search_path,
            change: change.to_owned(),
            flags,
            process,
        })
    }

    /// Kills the server and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn end(&mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// The number of its process.
    ///
    /// # Errors
    /// It has ended.
    pub fn pid(&self) -> Result<u32> {
        self.process.id().context("the server has ended")
    }

    /// Kills the server without a warning and starts it over the same data, elsewhere.
    ///
    /// # Errors
    /// It does not start again.
    pub async fn restart(&mut self) -> Result<()> {
        self.end().await?;
        self.process = run(self.directory.path(), &self.change, &self.flags).await?;
        Ok(())
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// A command whose kubectl and other clients find this server, in a directory of the server's own.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.directory.path().join("work"))
            .env("PATH", &self.search_path)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.directory.path().join("home"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .kill_on_drop(true);
        command
    }

    /// Runs a shell script to its end; both outputs stand in `stdout`, as they came.
    ///
    /// # Errors
    /// It cannot be run, or takes too long.
    pub async fn shell(&self, script: &str) -> Result<Printed> {
        let mut command = self.command("sh");
        command.arg("-c").arg(format!("exec 2>&1\n{script}"));
        cluster::printed(command, "").await
    }

    /// Starts a shell script and gives its output line by line.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn follow(&self, script: &str) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
        let mut command = self.command("sh");
        let mut child = command
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("the output is piped")?;
        Ok((child, BufReader::new(stdout).lines()))
    }

    /// Tells the server a story and compares.
    ///
    /// # Errors
    /// It goes otherwise.
    pub async fn tell(&self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut told: Vec<(Step, Vec<String>)> = Vec::new();
        for step in story::read(&text) {
            let printed = self.shell(&step.command).await?;
            let mut lines = story::lines(&printed.stdout);
            if printed.code != 0 {
                lines.push(format!("[exit {}]", printed.code));
            }
            told.push((step, lines));
        }
        story::judge(path, &told)
    }
}

/// A server with data in a directory, once it is ready.
async fn run(directory: &Path, change: &str, flags: &[String]) -> Result<Child> {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let binary = BINARY.get_or_try_init(cluster::binary).await?;
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{change} && exec \"$0\" \"$@\""))
        .arg(binary)
        .args(["server", "--port", "0", "--data-dir"])
        .arg(directory.join("data"))
        .arg("--kubeconfig")
        .arg(directory.join("kubeconfig"))
        .args(flags)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut process = command.spawn()?;
    let stdout = process.stdout.take().context("the output is piped")?;
    cluster::line(&mut BufReader::new(stdout).lines(), "is ready").await?;
    Ok(process)
}
