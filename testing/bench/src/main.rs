//! `cargo xtask bench`: measures the released binary as its users meet it, and prints Markdown rows.
//!
//! Usage: `sampan-bench SAMPAN_BINARY [IMAGES_DIR]`. With a directory of image archives, and as root, pods are timed too.

mod api;
mod node;
mod process;
mod status;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Process, megabytes};

/// How long an idle process is watched.
const IDLE: Duration = Duration::from_mins(1);
/// Objects in the store for the second start.
const OBJECTS: usize = 10_000;

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let binary = args
        .next()
        .context("usage: sampan-bench SAMPAN_BINARY [IMAGES_DIR]")?;
    let images = args.next();
    row(
        "binary size",
        &format!(
            "{:.1} MB",
            megabytes(std::fs::metadata(&binary).context("no such binary")?.len())
        ),
    );
    server(&binary).await?;
    status::measure(&binary).await?;
    if let Some(images) = images {
        node::measure(&binary, &images).await?;
    }
    Ok(())
}

/// The control plane alone: start, footprint, requests, and a start with many objects.
async fn server(binary: &std::path::Path) -> Result<()> {
    let data = tempfile::tempdir().context("cannot make a directory")?;
    let process = Process::start(binary, "server", data.path(), &[]).await?;
    row(
        "start to ready, empty store",
        &format!("{:.0} ms", process.started.as_secs_f64() * 1000.0),
    );
    idle("idle, control plane alone", &process).await?;
    let client = process.client().await?;
    api::measure(&client).await?;
    api::fill(&client, OBJECTS).await?;
    row(
        "memory with the objects of this run",
        &format!("{:.0} MB RSS", megabytes(process.rss()?)),
    );
    process.end().await?;
    let process = Process::start(binary, "server", data.path(), &[]).await?;
    row(
        &format!("start to ready, more than {OBJECTS} objects"),
        &format!("{:.0} ms", process.started.as_secs_f64() * 1000.0),
    );
    process.end().await
}

/// Memory and processor time of a process that nobody asks for anything.
async fn idle(what: &str, process: &Process) -> Result<()> {
    // The first seconds belong to the start.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = process.cpu_seconds()?;
    tokio::time::sleep(IDLE).await;
    let share = (process.cpu_seconds()? - before) / IDLE.as_secs_f64() * 100.0;
    row(
        what,
        &format!(
            "{:.0} MB RSS, {share:.2} % of a core",
            megabytes(process.rss()?)
        ),
    );
    Ok(())
}

/// One row of a Markdown table.
#[expect(clippy::print_stdout, reason = "the output of this program")]
fn row(what: &str, result: &str) {
    println!("| {what} | {result} |");
}
