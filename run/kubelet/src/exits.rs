//! Ends of processes, told by the kernel, so that nobody has to ask again and again.
//!
//! containerd 1.6 has no event stream. A pidfd per running container and sandbox wakes the pod's loop
//! when the process ends; it costs nothing while nothing happens.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cri::Runtime;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::debug;

/// How often the runtime is asked about a process that cannot be waited for.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What kind of id the runtime is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A container.
    Container,
    /// A sandbox.
    Sandbox,
}

/// The processes of one pod that are waited for.
#[derive(Debug)]
pub(crate) struct Exits {
    wake: Arc<Notify>,
    tasks: JoinSet<(String, Ended)>,
    watched: BTreeMap<String, tokio::task::AbortHandle>,
    ended: BTreeMap<String, Ended>,
}

/// How a wait was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The process is gone.
    Gone,
    /// The process cannot be found, so its end must be asked for.
    Unwatchable,
}

impl Exits {
    /// Nothing is waited for yet; `wake` is rung at each end.
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self {
            wake,
            tasks: JoinSet::new(),
            watched: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Waits for exactly these from now on.
    pub(crate) fn watch(&mut self, runtime: &Runtime, living: &BTreeMap<String, Of>) {
        self.collect();
        self.ended.retain(|id, _| living.contains_key(id));
        self.watched.retain(|id, task| {
            let is_kept = living.contains_key(id);
            if !is_kept {
                task.abort();
            }
            is_kept
        });
        for (id, of) in living {
            if self.watched.contains_key(id) || self.ended.contains_key(id) {
                continue;
            }
            let (runtime, wake) = (runtime.clone(), Arc::clone(&self.wake));
            let (owned, of) = (id.clone(), *of);
            let task = self.tasks.spawn(async move {
                let ended = match wait(&runtime, &owned, of).await {
                    Ok(()) => Ended::Gone,
                    Err(error) => {
                        debug!(id = owned, error, "process cannot be waited for");
                        Ended::Unwatchable
                    }
                };
                wake.notify_one();
                (owned, ended)
            });
            self.watched.insert(id.clone(), task);
        }
    }

    /// How a wait was over; `None` while it goes on or if there is none.
    pub(crate) fn ended(&mut self, id: &str) -> Option<Ended> {
        self.collect();
        self.ended.get(id).copied()
    }

    fn collect(&mut self) {
        while let Some(joined) = self.tasks.try_join_next() {
            if let Ok((id, ended)) = joined {
                self.watched.remove(&id);
                self.ended.insert(id, ended);
            }
        }
    }
}

async fn wait(runtime: &Runtime, id: &str, of: Of) -> Result<(), String> {
    let info = match of {
        Of::Container => {
            let answer = runtime.container_status(id, true).await;
            answer.map(|answer| answer.info)
        }
        Of::Sandbox => {
            let answer = runtime.pod_sandbox_status(id, true).await;
            answer.map(|answer| answer.info)
        }
    };
    let info = info.map_err(|error| error.to_string())?;
    let text = info.get("info").ok_or("the runtime tells no process id")?;
    let info: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let pid = info.get("pid").and_then(serde_json::Value::as_i64);
    let pid = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    let pid = pid.ok_or("the runtime tells no process id")?;
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(fd) => {
            #[expect(
                deprecated,
                reason = "sound for an owned descriptor that is not taken out; the other constructor is unsafe"
            )]
            let fd = AsyncFd::with_interest(fd, Interest::READABLE);
            let fd = fd.map_err(|error: io::Error| error.to_string())?;
            fd.readable()
                .await
                .map(|_| ())
                .map_err(|error| error.to_string())
        }
        Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns once a container or sandbox has ended, or cannot be watched and no longer runs.
pub(crate) async fn over(runtime: &Runtime, id: &str, of: Of) {
    let Err(error) = wait(runtime, id, of).await else {
        return;
    };
    debug!(id, error, "process cannot be waited for");
    loop {
        let status = runtime.container_status(id, false).await;
        let running = cri::v1::ContainerState::ContainerRunning;
        let runs = status.is_ok_and(|one| one.status.is_some_and(|one| one.state() == running));
        if !runs {
            return;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
