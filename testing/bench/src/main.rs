//! `cargo xtask bench`: measures the released binary as its users meet it, and prints Markdown rows.
//!
//! Usage: `sampan-bench SAMPAN_BINARY [IMAGES_DIR]`. With a directory of image archives, and as root, pods are timed too.
//!
//! `SAMPAN_BENCH_PEER` names the kubeconfig of a stock server that is empty: the same requests go to it, in turns, and
//! ratios are printed; ours then runs without controllers, as a stock server does. `SAMPAN_BENCH_PEER_PIDS`
//! (comma-separated) are its processes, for their memory and processor time.
//! `SAMPAN_BENCH_PARTS` (comma-separated: `idle`, `rates`, `lists`, `watchers`, `many`, `status`,
//! `node`) measures these alone.

mod lists;
mod node;
mod process;
mod rates;
mod report;
mod request;
mod status;
mod watchers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use testkit::connection::Dialer;
use tokio::runtime::{Builder, Runtime};

use crate::process::{Process, processor_time, rss};
use crate::report::{Better, Figure, megabytes, row, show};

/// How long an idle process is watched.
const IDLE: Duration = Duration::from_mins(1);
/// How long processes are watched for whether they still work, and how much they may work meanwhile.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(10));
/// How often, before what follows is measured anyway.
const QUIET_TRIES: usize = 50;
/// Objects of the large collection.
const OBJECTS: usize = 100_000;

/// A server under measurement.
pub(crate) struct Server {
    pub(crate) dialer: Dialer,
    pids: Vec<u32>,
}

impl Server {
    /// Its resident memory in bytes; 0 when its processes are not known.
    pub(crate) fn rss(&self) -> Result<u64> {
        self.pids.iter().map(|pid| rss(*pid)).sum()
    }

    /// Its processor time so far; nothing when its processes are not known.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        self.pids.iter().map(|pid| processor_time(*pid)).sum()
    }
}

/// Waits until no server works any more: what one does after its answer, such as collecting garbage, is not to be
/// measured as the time of the next.
pub(crate) async fn settle(servers: &[Server]) -> Result<()> {
    let worked = || {
        servers
            .iter()
            .map(Server::processor_time)
            .sum::<Result<Duration>>()
    };
    for _ in 0..QUIET_TRIES {
        let before = worked()?;
        tokio::time::sleep(QUIET.0).await;
        if worked()?.saturating_sub(before) <= QUIET.1 {
            break;
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let usage = "usage: sampan-bench SAMPAN_BINARY [IMAGES_DIR]";
    let binary = args.next().context(usage)?;
    let images = args.next();
    report::head();
    let size = std::fs::metadata(&binary).context("no such binary")?.len();
    row("binary size", &format!("{:.1} MB", megabytes(size)));
    // Waking other threads of the client would be measured as the server's time.
    let alone = Builder::new_current_thread().enable_all().build();
    let alone = alone.context("no runtime")?;
    if ["idle", "rates", "lists", "watchers"]
        .iter()
        .any(|part| is_wanted(part))
    {
        alone.block_on(requests(&binary))?;
    }
    if is_wanted("many") {
        alone.block_on(many(&binary))?;
    }
    let together = Runtime::new().context("no runtime")?;
    if is_wanted("status") {
        together.block_on(status::measure(&binary))?;
    }
    match images {
        Some(images) if is_wanted("node") => together.block_on(node::measure(&binary, &images)),
        _ => Ok(()),
    }
}

fn is_wanted(part: &str) -> bool {
    std::env::var("SAMPAN_BENCH_PARTS")
        .is_ok_and(|parts| parts.split(',').any(|wanted| wanted == part))
        || std::env::var_os("SAMPAN_BENCH_PARTS").is_none()
}

/// The stock server to compare with, if there is one.
async fn peer() -> Result<Option<Server>> {
    let Some(kubeconfig) = std::env::var_os("SAMPAN_BENCH_PEER") else {
        return Ok(None);
    };
    let pids = std::env::var("SAMPAN_BENCH_PEER_PIDS").unwrap_or_default();
    let pids = pids.split(',').filter(|pid| !pid.is_empty());
    let pids: Result<Vec<u32>, _> = pids.map(str::parse).collect();
    Ok(Some(Server {
        dialer: Dialer::read(Path::new(&kubeconfig)).await?,
        pids: pids.context("SAMPAN_BENCH_PEER_PIDS holds no numbers")?,
    }))
}

/// What our server is started with: beside a stock server, which is one without controllers, it has none either.
fn controllers() -> &'static [&'static str] {
    match std::env::var_os("SAMPAN_BENCH_PEER") {
        Some(_) => &["--without-controllers"],
        None => &[],
    }
}

/// Ours, and the stock server if there is one.
async fn servers(process: &Process) -> Result<Vec<Server>> {
    let ours = Server {
        dialer: process.dialer().await?,
        pids: vec![process.pid()],
    };
    Ok(std::iter::once(ours).chain(peer().await?).collect())
}

/// The control plane alone: start, footprint, requests.
async fn requests(binary: &Path) -> Result<()> {
    let data = tempfile::tempdir().context("cannot make a directory")?;
    let process = Process::start(binary, "server", data.path(), controllers()).await?;
    let started = process.started.as_secs_f64() * 1000.0;
    row("start to ready, empty store", &format!("{started:.0} ms"));
    if is_wanted("idle") {
        idle("idle, control plane alone", &process).await?;
    }
    let servers = servers(&process).await?;
    // Before the lists, whose memory the process keeps: a watcher's would not show beside it.
    if is_wanted("watchers") {
        watchers::measure(&servers).await?;
    }
    if is_wanted("lists") {
        lists::measure(&servers).await?;
    }
    if is_wanted("rates") {
        rates::measure(&servers).await?;
    }
    process.end().await
}

/// A large collection: what it costs, what is found in it, and a start with it.
async fn many(binary: &Path) -> Result<()> {
    let data = tempfile::tempdir().context("cannot make a directory")?;
    let process = Process::start(binary, "server", data.path(), controllers()).await?;
    let servers = servers(&process).await?;
    let mut figures = Vec::new();
    for server in &servers {
        let before = server.rss()?;
        lists::fill_many(server, OBJECTS).await?;
        // What the watchers of the last objects do belongs to neither number.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let whole = request::get("/api/v1/configmaps", "application/json")?;
        let after = server.rss()?;
        let (_, bytes) = server.dialer.open().await?.answer(whole).await?;
        figures.push(memory(before, after, bytes));
    }
    let what = format!("memory with {OBJECTS} ConfigMaps");
    show(&what, Better::Less, figures);
    lists::measure_selective(&servers, OBJECTS).await?;
    process.end().await?;
    let process = Process::start(binary, "server", data.path(), &[]).await?;
    let what = format!("start to ready, {OBJECTS} objects");
    let started = process.started.as_secs_f64() * 1000.0;
    row(&what, &format!("{started:.0} ms"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let rss = megabytes(process.rss()?);
    row(
        &format!("memory after that start, {OBJECTS} objects"),
        &format!("{rss:.0} MB RSS"),
    );
    process.end().await
}

/// What many objects cost, of which a list takes so many bytes.
#[expect(clippy::cast_precision_loss, reason = "for show")]
fn memory(before: u64, after: u64, bytes: usize) -> Figure {
    let each = |bytes: f64| bytes / OBJECTS as f64;
    let (grown, json) = (
        each(after.saturating_sub(before) as f64),
        each(bytes as f64),
    );
    let text = format!(
        "{:.0} MB RSS, {:.2} KB each, {:.2} KB above its JSON",
        megabytes(after),
        grown / 1000.0,
        (grown - json) / 1000.0
    );
    Figure { text, value: grown }
}

/// Memory and processor time of a process that nobody asks for anything.
async fn idle(what: &str, process: &Process) -> Result<()> {
    // The first seconds belong to the start.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = process.processor_time()?;
    tokio::time::sleep(IDLE).await;
    let used = process.processor_time()?.saturating_sub(before);
    let share = used.as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let rss = megabytes(process.rss()?);
    row(what, &format!("{rss:.0} MB RSS, {share:.2} % of a core"));
    Ok(())
}
