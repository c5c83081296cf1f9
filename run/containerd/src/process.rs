//! The processes of our containerd: found by what they run, never by a remembered number.

use std::{fs, io, os::fd::OwnedFd, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::{io::unix::AsyncFd, process::Command, time::timeout};

use crate::{Layout, Programs};

/// A running process, held by a descriptor, so that its number cannot come to mean another one.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    descriptor: AsyncFd<OwnedFd>,
}

impl Process {
    /// Takes hold of a process; `None` when it has ended.
    #[expect(
        deprecated,
        reason = "its replacement is unsafe, for types whose descriptor may change; an OwnedFd's does not"
    )]
    fn open(pid: Pid) -> io::Result<Option<Self>> {
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(descriptor) => Ok(Some(Self {
                pid,
                descriptor: AsyncFd::new(descriptor)?,
            })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        self.descriptor.readable().await.map(|_| ())
    }

    /// Asks the process to end, and kills it when it has not within `grace`.
    pub(crate) async fn end(&self, grace: Duration) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        if let Ok(ended) = timeout(grace, self.ended()).await {
            return ended;
        }
        self.signal(Signal::KILL)?;
        self.ended().await
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.descriptor.get_ref(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The containerd that runs with our configuration file, if there is one.
pub(crate) fn containerd(layout: &Layout) -> io::Result<Option<Process>> {
    let config = layout.config();
    Ok(running_with("--config", &config)?.into_iter().next())
}

/// The shims that belong to our containerd.
pub(crate) fn shims(layout: &Layout) -> io::Result<Vec<Process>> {
    running_with("-address", &layout.socket())
}

/// Starts containerd in a session of its own, so that neither Ctrl-C nor our end reaches it.
pub(crate) fn start(layout: &Layout, programs: &Programs) -> io::Result<Option<Process>> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(layout.log())?;
    let child = Command::new("setsid")
        .arg(&programs.containerd)
        .arg("--config")
        .arg(layout.config())
        .env("PATH", programs.search_path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    // `setsid` becomes containerd without a fork, as it does not lead a process group.
    let pid = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    match pid {
        Some(pid) => Process::open(pid),
        None => Ok(None),
    }
}

/// Processes whose command line has `flag` followed by `path`.
fn running_with(flag: &str, path: &Path) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name
            .to_str()
            .and_then(|text| Pid::from_raw(text.parse().ok()?))
        else {
            continue;
        };
        // Taken hold of first and looked at then, so that both are about the same process.
        let Some(process) = Process::open(pid)? else {
            continue;
        };
        let Ok(line) = fs::read(format!("/proc/{}/cmdline", process.pid())) else {
            continue;
        };
        if has_argument(&line, flag, path) {
            found.push(process);
        }
    }
    Ok(found)
}

fn has_argument(command_line: &[u8], flag: &str, path: &Path) -> bool {
    let arguments: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    arguments
        .windows(2)
        .any(|pair| pair == [flag.as_bytes(), path.as_os_str().as_encoded_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_matches_by_whole_arguments() {
        let line = b"/usr/bin/containerd\0--config\0/data/config.toml\0";
        assert!(has_argument(
            line,
            "--config",
            Path::new("/data/config.toml")
        ));
        assert!(!has_argument(line, "--config", Path::new("/data/config")));
        assert!(!has_argument(line, "-c", Path::new("/data/config.toml")));
        assert!(!has_argument(
            b"",
            "--config",
            Path::new("/data/config.toml")
        ));
    }
}
