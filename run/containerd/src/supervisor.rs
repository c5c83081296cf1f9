//! Brings containerd up, or finds the one that is up, and brings it back when it dies.

use std::{
    error::Error,
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use cri::{CallError, Runtime};
use dataplane::{NetworkError, NodeNetwork};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

use crate::{Layout, Missing, check, config, preconditions, process};

/// How long containerd may take from its start until it is ready for pods.
const READY_MAX: Duration = Duration::from_secs(30);

/// How long a running containerd may take to tell its version before it counts as not answering.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// How often a starting containerd is asked; it has no way to tell that its CRI part is ready.
const ASK_EVERY: Duration = Duration::from_millis(15);

/// How long to wait before another start after one that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Size from which the log is put aside at a start, in bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// How much of the log an error quotes.
const LOG_LINES_QUOTED: usize = 3;

/// Why containerd is not there.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine lacks something; all of it is listed.
    #[error("this machine cannot run containers: {}", sentences(.0))]
    Missing(Vec<Missing>),
    /// The bridge could not be made.
    #[error("cannot make the network of the node")]
    Network(#[from] NetworkError),
    /// A file or directory failed.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program could not be run or watched.
    #[error("cannot start containerd")]
    Spawn(#[source] io::Error),
    /// It ended before it was ready.
    #[error("containerd ended right after its start, see {}: {tail}", log.display())]
    Ended {
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// It runs and is not ready.
    #[error("containerd (process {pid}) is not ready after {} s, see {}: {reason}", READY_MAX.as_secs(), log.display())]
    NotReady {
        /// Its process number.
        pid: i32,
        /// Its log.
        log: PathBuf,
        /// What it said when last asked.
        reason: String,
    },
}

/// A node that is ready for pods.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The connection to containerd.
    pub runtime: Runtime,
    /// The network that containerd joins pods to.
    pub network: NodeNetwork,
}

/// Makes the node's network and gives a connection to the instance's containerd.
///
/// Containerd is started if it does not run; one that runs, with its containers, is left as it is.
///
/// # Errors
/// [`StartError::Missing`] when the machine cannot run containers; the others when something fails.
pub async fn ensure(layout: &Layout) -> Result<Ready, StartError> {
    check(layout).map_err(StartError::Missing)?;
    let network = dataplane::set_up(layout.instance()).await?;
    let runtime = connect_or_start(layout).await?;
    Ok(Ready { runtime, network })
}

async fn connect_or_start(layout: &Layout) -> Result<Runtime, StartError> {
    make_dirs(layout)?;
    // Held to the end: a second process must find what the first one started, not start another.
    let _guard = lock(layout.instance().run_dir().join("start.lock")).await?;
    if let Ok(Ok(runtime)) = timeout(ANSWER_MAX, ready(&layout.socket())).await {
        return Ok(runtime);
    }
    let process = match process::containerd(layout).map_err(StartError::Spawn)? {
        Some(process) => process,
        None => start(layout)?,
    };
    let deadline = Instant::now() + READY_MAX;
    loop {
        let reason = match timeout(ANSWER_MAX, ready(&layout.socket())).await {
            Ok(Ok(runtime)) => return Ok(runtime),
            Ok(Err(reason)) => reason,
            Err(_) => "it does not answer".to_owned(),
        };
        if Instant::now() > deadline {
            return Err(StartError::NotReady {
                pid: process.pid(),
                log: layout.log(),
                reason,
            });
        }
        tokio::select! {
            ended = process.ended() => {
                ended.map_err(StartError::Spawn)?;
                return Err(StartError::Ended { log: layout.log(), tail: tail(&layout.log()) });
            }
            () = sleep(ASK_EVERY) => {}
        }
    }
}

/// Brings containerd back whenever it ends; never returns, so give it a task of its own.
///
/// Containers do not mind: each is held by a shim, which the next containerd finds again.
pub async fn watch_over(layout: Layout) {
    loop {
        match process::containerd(&layout) {
            Ok(Some(process)) => {
                if process.ended().await.is_ok() {
                    warn!(pid = process.pid(), "containerd ended, starting it again");
                }
            }
            Ok(None) => {}
            Err(error) => warn!(error = &error as &dyn Error, "cannot look for containerd"),
        }
        if let Err(error) = connect_or_start(&layout).await {
            error!(
                error = &error as &dyn Error,
                "containerd does not come back, trying again"
            );
            sleep(RETRY_AFTER).await;
        }
    }
}

fn start(layout: &Layout) -> Result<process::Process, StartError> {
    let programs = check(layout).map_err(StartError::Missing)?;
    let path = layout.config();
    let text = config::config(layout, &programs, preconditions::oom_score());
    let file = |operation, path: PathBuf| {
        move |source| StartError::File {
            operation,
            path,
            source,
        }
    };
    fs::write(&path, text).map_err(file("write", path.clone()))?;
    let log = layout.log();
    if fs::metadata(&log).is_ok_and(|data| data.len() > LOG_BYTES_MAX) {
        fs::rename(&log, log.with_extension("log.old")).map_err(file("put aside", log.clone()))?;
    }
    let process = process::start(layout, &programs).map_err(StartError::Spawn)?;
    let process = process.ok_or_else(|| StartError::Ended {
        tail: tail(&log),
        log,
    })?;
    info!(pid = process.pid(), containerd = %programs.containerd.display(), "containerd started");
    Ok(process)
}

/// A connection to a runtime that is ready for pods, or the reason why it is not.
async fn ready(socket: &Path) -> Result<Runtime, String> {
    let say = |error: CallError| error.to_string();
    let runtime = Runtime::connect(socket).await.map_err(say)?;
    let status = runtime.status(false).await.map_err(say)?;
    let conditions = status
        .status
        .map(|status| status.conditions)
        .unwrap_or_default();
    for name in ["RuntimeReady", "NetworkReady"] {
        let condition = conditions.iter().find(|condition| condition.r#type == name);
        match condition {
            Some(condition) if condition.status => {}
            Some(condition) => return Err(format!("{name} is false: {}", condition.message)),
            None => return Err(format!("it says nothing about {name}")),
        }
    }
    Ok(runtime)
}

fn make_dirs(layout: &Layout) -> Result<(), StartError> {
    let run_dir = layout.instance().run_dir();
    for dir in [
        run_dir.clone(),
        layout.persistent(),
        layout.certs_dir(),
        layout.cni_conf_dir(),
    ] {
        let file = |source| StartError::File {
            operation: "make",
            path: dir.clone(),
            source,
        };
        fs::create_dir_all(&dir).map_err(file)?;
    }
    // Sockets and mounts of containers: nobody but root has business there.
    fs::set_permissions(&run_dir, Permissions::from_mode(0o711)).map_err(|source| {
        StartError::File {
            operation: "protect",
            path: run_dir,
            source,
        }
    })
}

async fn lock(path: PathBuf) -> Result<File, StartError> {
    let locked = path.clone();
    let lock = move || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    let file = tokio::task::spawn_blocking(lock)
        .await
        .unwrap_or_else(|error| Err(error.into()));
    file.map_err(|source| StartError::File {
        operation: "lock",
        path: locked,
        source,
    })
}

/// The last lines of a log, as one line.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().rev().take(LOG_LINES_QUOTED).collect();
    lines.reverse();
    lines.join(" | ")
}

fn sentences(missing: &[Missing]) -> String {
    let sentence = |missing: &Missing| match missing.source() {
        Some(source) => format!("{missing} ({source})"),
        None => missing.to_string(),
    };
    missing.iter().map(sentence).collect::<Vec<_>>().join("; ")
}
