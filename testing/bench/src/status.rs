//! The status layer: verdicts on one core, and `sampan status -w` on a large cluster.
//!
//! The cluster is played: a server that answers lists and watches from memory, so that what is measured
//! is the status layer and not the API server beside it.

mod played;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use status::{Bundle, Config, evaluate};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::process::{peak_rss, processor_time, rss};
use crate::report::{megabytes, row};
use played::Cluster;

/// How long verdicts are counted.
const SPAN: Duration = Duration::from_secs(3);
/// Workloads of the large cluster; each has ten pods.
const WORKLOADS: usize = 10_000;
/// Changes whose way to the output is timed.
const CHANGES: usize = 1_000;
/// Longest wait for anything.
const WAIT: Duration = Duration::from_mins(2);

/// Measures the engine, then the command.
pub(crate) async fn measure(binary: &Path) -> Result<()> {
    engine()?;
    command(binary).await
}

/// Verdicts per second over the scenarios, which are joined once and judged again and again.
fn engine() -> Result<()> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/status/scenarios");
    let mut bundles = Vec::new();
    for entry in std::fs::read_dir(&folder).context("the scenarios are not beside the project")? {
        let path = entry.context("cannot read the scenarios")?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let text = std::fs::read_to_string(&path).context("cannot read a scenario")?;
            let documents: Vec<Value> =
                serde_saphyr::from_multiple(&text).context("a scenario is not YAML")?;
            bundles.extend(Bundle::new(documents));
        }
    }
    let now = "2026-01-15T10:30:00Z"
        .parse()
        .context("the time of the scenarios")?;
    let config = Config::spec();
    let joined: Vec<_> = bundles
        .iter()
        .map(|bundle| (bundle.subject(), bundle.related()))
        .collect();
    let begun = Instant::now();
    let mut verdicts = 0_u32;
    while begun.elapsed() < SPAN {
        for (subject, related) in &joined {
            std::hint::black_box(evaluate(subject, related, now, &config));
            verdicts += 1;
        }
    }
    let rate = f64::from(verdicts) / begun.elapsed().as_secs_f64();
    let what = format!("verdicts on one core, over {} situations", joined.len());
    row(&what, &format!("{rate:.0}/s"));
    Ok(())
}

/// `sampan status -A -w` on the played cluster.
async fn command(binary: &Path) -> Result<()> {
    let cluster = Cluster::start(WORKLOADS).await?;
    let begun = Instant::now();
    let (child, mut lines) = follow(binary, &cluster)?;
    let pid = child.id().context("the command is gone")?;
    // The last Deployment is the last line of the table.
    let last = played::deployment_name(WORKLOADS - 1);
    line(&mut lines, &last).await?;
    let what = format!("{WORKLOADS} workloads, 100,000 pods: first table");
    let result = format!(
        "{:.2} s, {:.2} s of processor time",
        begun.elapsed().as_secs_f64(),
        processor_time(pid)?.as_secs_f64()
    );
    row(&what, &result);
    cluster.watched().await?;
    let mut took = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        let workload = change * 7 % WORKLOADS;
        let changed = Instant::now();
        cluster.break_pod(workload)?;
        line(&mut lines, &played::deployment_name(workload)).await?;
        took.push(changed.elapsed());
    }
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 100).copied();
    let shown = |time: Option<Duration>| format!("{:.2} ms", millis(time.unwrap_or_default()));
    let result = format!("p50 {}, p99 {}", shown(at(50)), shown(at(99)));
    row("the same: pod changed to line printed", &result);
    let memory = format!(
        "{:.0} MB RSS, {:.0} MB at the most",
        megabytes(rss(pid)?),
        megabytes(peak_rss(pid)?)
    );
    row("the same: memory of the command", &memory);
    drop(child);
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn follow(binary: &Path, cluster: &Cluster) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let mut child = Command::new(binary)
        .args(["status", "-A", "-w", "--lang", "en", "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the command")?;
    let stdout = child.stdout.take().context("the output is piped")?;
    Ok((child, BufReader::new(stdout).lines()))
}

/// Reads on to a line about a workload.
async fn line(lines: &mut Lines<BufReader<ChildStdout>>, name: &str) -> Result<()> {
    let found = async {
        while let Some(line) = lines.next_line().await? {
            if line.split_whitespace().nth(2) == Some(name) {
                return Ok(());
            }
        }
        anyhow::bail!("the command ended")
    };
    tokio::time::timeout(WAIT, found)
        .await
        .with_context(|| format!("no line about {name}"))?
}
