//! A `sampan` process under measurement.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use testkit::connection::Dialer;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest wait for the line that says it is ready.
const READY_MAX: Duration = Duration::from_mins(1);

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pid: u32,
    kubeconfig: std::path::PathBuf,
    /// From its start to its ready line.
    pub(crate) started: Duration,
}

impl Process {
    /// Starts a role on a free port and waits until it says that it is ready.
    pub(crate) async fn start(
        binary: &Path,
        role: &str,
        data: &Path,
        more: &[&str],
    ) -> Result<Self> {
        let kubeconfig = data.join("bench.kubeconfig");
        let begun = Instant::now();
        let mut child = Command::new(binary)
            .args([role, "--port", "0", "--data-dir"])
            .arg(data)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the binary")?;
        let pid = child.id().context("the process is gone")?;
        let out = child.stdout.take().context("no output to read")?;
        let mut lines = BufReader::new(out).lines();
        let line = tokio::time::timeout(READY_MAX, lines.next_line())
            .await
            .context("not ready in time")?;
        match line.context("cannot read the output")? {
            Some(line) if line.contains("is ready") => {}
            other => bail!("the process said {other:?} instead of being ready"),
        }
        Ok(Self {
            child,
            pid,
            kubeconfig,
            started: begun.elapsed(),
        })
    }

    /// A client with the administrator's certificate, over TLS.
    pub(crate) async fn client(&self) -> Result<kube::Client> {
        client::from_kubeconfig(Some(&self.kubeconfig), None)
            .await
            .context("no client")
    }

    /// What opens connections with the same certificate.
    pub(crate) async fn dialer(&self) -> Result<Dialer> {
        Dialer::read(&self.kubeconfig).await
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Resident memory in bytes.
    pub(crate) fn rss(&self) -> Result<u64> {
        rss(self.pid)
    }

    /// Processor time used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        processor_time(self.pid)
    }

    /// Ends it in order.
    pub(crate) async fn end(mut self) -> Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process has a number")?;
        kill_process(pid, Signal::TERM).context("cannot end the process")?;
        self.child.wait().await.context("the process did not end")?;
        Ok(())
    }
}

/// Processor time that a process has used. Linux counts hundredths of a second.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
            .unwrap_or_default()
    };
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
}

/// Resident memory of a process, in bytes.
pub(crate) fn rss(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most resident memory that a process has had, in bytes.
pub(crate) fn peak_rss(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, field: &str) -> Result<u64> {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .with_context(|| format!("no {field}"))?;
    let kilobytes: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .context("no number")?;
    Ok(kilobytes * 1024)
}
