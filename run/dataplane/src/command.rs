//! Runs the programs that change the kernel's network, and keeps their words when they fail.

use std::{io, process::Stdio};

use tokio::{io::AsyncWriteExt as _, process::Command};

/// Why a network program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not installed, or may not be run.
    #[error("cannot run {program}: run `apt-get install {package}`")]
    Start {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ran and failed.
    #[error("`{command}` failed: {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// What it printed.
        stderr: String,
    },
}

/// Runs `ip` with arguments separated by spaces and gives its output.
pub(crate) async fn ip(arguments: &str) -> Result<String, CommandError> {
    run("ip", "iproute2", arguments, "").await
}

/// Applies a set of nftables commands; all of them or none.
pub(crate) async fn nft(commands: &str) -> Result<(), CommandError> {
    run("nft", "nftables", "-f -", commands).await.map(|_| ())
}

async fn run(
    program: &'static str,
    package: &'static str,
    arguments: &str,
    input: &str,
) -> Result<String, CommandError> {
    let start = |source| CommandError::Start {
        program,
        package,
        source,
    };
    let mut child = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await.map_err(start)?;
    }
    let output = child.wait_with_output().await.map_err(start)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CommandError::Failed {
        command: format!("{program} {arguments}"),
        stderr,
    })
}
