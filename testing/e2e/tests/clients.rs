//! The official clients for Python and JavaScript, installed from their registries as their lock files say, speak to
//! `sampan server`. What they expect stands in `testing/clients`, in their own languages.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sampan_e2e::server::Server;
use sampan_e2e::tools;
use tokio::process::Command;
use tokio::time::timeout;

/// Longest installation, and longest run of a client's tests.
const WAIT: Duration = Duration::from_secs(400);

#[tokio::test]
async fn the_python_client_sees_upstream() -> Result<()> {
    let (source, installed) = (source("python"), target("python")?);
    let python = installed.join("bin/python");
    if is_stale(&source, &installed, "requirements.txt")? {
        let mut venv = Command::new("python3");
        run(venv.args(["-m", "venv", "--clear"]).arg(&installed)).await?;
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            "requirements.txt",
        ]);
        run(pip.current_dir(&source)).await?;
        keep(&source, &installed, "requirements.txt")?;
    }
    let server = Server::start().await?;
    let mut tests = server.command(&python);
    tests
        .args(["-B", "-m", "unittest", "-v"])
        .current_dir(&source);
    run(&mut tests).await
}

#[tokio::test]
async fn the_javascript_client_sees_upstream() -> Result<()> {
    let (source, installed) = (source("node"), target("node")?);
    if is_stale(&source, &installed, "package-lock.json")? {
        keep(&source, &installed, "package.json")?;
        keep(&source, &installed, "package-lock.json")?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let done = run(npm.current_dir(&installed)).await;
        if done.is_err() {
            std::fs::remove_file(installed.join("package-lock.json"))?;
        }
        done?;
    }
    keep(&source, &installed, "client.test.js")?;
    let server = Server::start().await?;
    let mut tests = server.command("node");
    run(tests.arg("--test").current_dir(&installed)).await
}

/// The folder of a client's tests.
fn source(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../clients")
        .join(client)
}

/// Where a client is installed, apart from the sources.
fn target(client: &str) -> Result<PathBuf> {
    let folder = tools::target().join("clients").join(client);
    std::fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// Whether what is installed was installed by another list than the present one.
fn is_stale(source: &Path, installed: &Path, list: &str) -> Result<bool> {
    let wanted = std::fs::read(source.join(list)).with_context(|| format!("cannot read {list}"))?;
    Ok(std::fs::read(installed.join(list)).ok() != Some(wanted))
}

fn keep(source: &Path, installed: &Path, file: &str) -> Result<()> {
    let copied = std::fs::copy(source.join(file), installed.join(file));
    copied
        .map(drop)
        .with_context(|| format!("cannot copy {file}"))
}

/// Runs a command to its end; shows its output if it fails.
async fn run(command: &mut Command) -> Result<()> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    let child = command
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;
    let output = timeout(WAIT, child.wait_with_output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output.with_context(|| format!("{shown} takes too long"))??;
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    ensure!(status.success(), "{shown} failed:\n{printed}");
    Ok(())
}
