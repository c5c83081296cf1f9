//! A bound on the memory of one process, in a control group of its own, and how much of it the process takes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// Where control groups are when memory has a hierarchy of its own, and when all have one.
const HIERARCHIES: [&str; 2] = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
/// Longest wait for a killed process to be gone.
const GONE_SECONDS_MAX: i64 = 10;

/// A control group with a bound on memory. It ends its processes and is removed when it is dropped.
pub(super) struct Bound {
    directory: PathBuf,
    /// The file that counts the processes that were killed for want of memory.
    kills: &'static str,
}

impl Bound {
    /// # Errors
    /// The kernel does not bound memory here, or we are not root.
    pub(super) fn new(bytes: u64) -> Result<Self> {
        let [own, unified] = HIERARCHIES.map(Path::new);
        let name = format!("sampan-floods-{}", std::process::id());
        let (directory, limit, kills) = if own.exists() {
            let limit = "memory.limit_in_bytes";
            (own.join(name), limit, "memory.oom_control")
        } else {
            let children = unified.join("cgroup.subtree_control");
            fs::write(children, "+memory").context("no control groups for memory")?;
            (unified.join(name), "memory.max", "memory.events")
        };
        fs::create_dir(&directory).with_context(|| format!("no {}", directory.display()))?;
        let bound = Self { directory, kills };
        let limit = bound.directory.join(limit);
        fs::write(limit, bytes.to_string()).context("memory is not bounded")?;
        Ok(bound)
    }

    /// The command with which a shell enters it, and whatever it becomes.
    pub(super) fn enter(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.directory.display())
    }

    /// How many processes were killed for want of memory.
    pub(super) fn kills(&self) -> Result<u64> {
        let text = fs::read_to_string(self.directory.join(self.kills))?;
        number(&text, "oom_kill ").context("the kernel does not count")
    }

    fn clear(&self) -> Result<()> {
        let processes = fs::read_to_string(self.directory.join("cgroup.procs"))?;
        for process in processes.lines() {
            let process = process.parse().ok().and_then(Pid::from_raw);
            let process = process.context("a process has a number")?;
            let ended = pidfd_open(process, PidfdFlags::empty())?;
            kill_process(process, Signal::KILL)?;
            let most = Timespec {
                tv_sec: GONE_SECONDS_MAX,
                tv_nsec: 0,
            };
            poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&most))?;
        }
        Ok(fs::remove_dir(&self.directory)?)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            eprintln!("{} stays: {error:#}", self.directory.display());
        }
    }
}

/// Bytes of memory that a process has now.
pub(super) fn now(pid: u32) -> Result<u64> {
    status(pid, "VmRSS:")
}

/// The most bytes that it had since [`forget_most`].
pub(super) fn most(pid: u32) -> Result<u64> {
    status(pid, "VmHWM:")
}

/// Begins to look for the most anew.
pub(super) fn forget_most(pid: u32) -> Result<()> {
    // Source: proc_pid_clear_refs(5).
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

fn status(pid: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    Ok(number(&text, field).context("a process has memory")? << 10)
}

fn number(text: &str, field: &str) -> Option<u64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix(field))?;
    rest.split_whitespace().next()?.parse().ok()
}
