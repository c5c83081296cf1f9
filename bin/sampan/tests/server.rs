//! The real `sampan server` from outside: killed, with damaged files, with bad input. Needs no root.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

#[path = "server/crash.rs"]
mod crash;
#[path = "server/damage.rs"]
mod damage;
#[path = "server/oidc.rs"]
mod oidc;
#[path = "server/refusals.rs"]
mod refusals;
#[path = "server/tokens.rs"]
mod tokens;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use client::rest::Rest;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest wait for anything.
const WAIT: Duration = Duration::from_mins(1);

/// The binary with arguments; ends with the test.
fn sampan(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
    command
        .args(arguments)
        .env_remove("SAMPAN_DATA_DIR")
        .env_remove("SAMPAN_LOG")
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
async fn run(mut command: Command) -> Output {
    let output = tokio::time::timeout(WAIT, command.output()).await;
    output.unwrap().unwrap()
}

/// A server that is ready.
struct Server {
    process: Child,
    rest: Rest,
}

impl Server {
    /// Starts a server on the data in a directory.
    async fn start(data: &Path) -> Self {
        Self::start_with(data, &[]).await
    }

    /// The same with more flags.
    async fn start_with(data: &Path, flags: &[&str]) -> Self {
        let directory = data.to_str().unwrap();
        let arguments = [&["server", "--port", "0", "--data-dir", directory], flags].concat();
        let mut process = sampan(&arguments).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(WAIT, lines.next_line())
            .await
            .unwrap()
            .unwrap();
        let is_ready = line
            .as_deref()
            .is_some_and(|line| line.contains("is ready"));
        if !is_ready {
            process.start_kill().unwrap();
            assert!(is_ready, "{line:?}: {}", rest_of(&mut process).await);
        }
        let kubeconfig = data.join("admin.kubeconfig");
        let client = client::from_kubeconfig(Some(&kubeconfig), None)
            .await
            .unwrap();
        Self {
            process,
            rest: Rest::new(client),
        }
    }

    /// Kills it without a warning; gives what it has said on standard error.
    async fn kill(&mut self) -> String {
        self.process.start_kill().unwrap();
        tokio::time::timeout(WAIT, self.process.wait())
            .await
            .unwrap()
            .unwrap();
        rest_of(&mut self.process).await
    }
}

async fn rest_of(process: &mut Child) -> String {
    let mut said = String::new();
    let mut stderr = process.stderr.take().unwrap();
    stderr.read_to_string(&mut said).await.unwrap();
    said
}
