//! The audit log: which requests are told of, and writing that down before they are answered.
//!
//! Without a policy nothing here runs. What is told of a request is decided in `access::audit`.

mod answer;
mod file;
mod queue;
mod record;

use std::io;
use std::path::PathBuf;

use access::Attributes;
use access::audit::{Audited, Event, Level, Policy, PolicyError, Rotation};
use jiff::Timestamp;

pub(crate) use self::record::{Record, Recording, Remote};

use self::file::{LogFile, Out};
use self::queue::{Queue, Written};

/// Where events go, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `None` is standard output.
    pub path: Option<PathBuf>,
    /// How events look.
    pub format: Format,
    /// What waits for a write.
    pub mode: Mode,
    /// When a new file is begun, and which old ones are kept.
    pub rotation: Rotation,
    /// Largest event, in bytes; a larger one loses its bodies, or is lost. `None` takes all.
    pub event_bytes_max: Option<usize>,
}

/// How events look. Source: `--audit-log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line of text.
    Legacy,
    /// A line of JSON.
    Json,
}

/// What waits for a write. Source: `--audit-log-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing; what does not fit into the queue is lost.
    Batch,
    /// The request.
    Blocking,
    /// The request, which is refused if its first event cannot be written.
    BlockingStrict,
}

/// What keeps an audit log from being opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file cannot be made.
    #[error("cannot make the audit log's directory {}", path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file cannot be opened.
    #[error("cannot open audit log {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing can be written beside what is served.
    #[error("cannot start the audit log's thread")]
    Thread(#[source] io::Error),
}

/// Reads a policy as it is written in its file: YAML or JSON. What it says in vain is logged.
///
/// # Errors
/// It cannot be used; in upstream's words.
pub fn policy(text: &[u8]) -> Result<Policy, PolicyError> {
    let document = wire::yaml::read(text).map_err(PolicyError::Decode)?;
    let (policy, unknown) = Policy::read(document.value)?;
    let complaints: Vec<String> = document.duplicates.into_iter().chain(unknown).collect();
    if !complaints.is_empty() {
        let complaints = complaints.join(", ");
        tracing::warn!(
            complaints,
            "audit policy contains errors, falling back to lenient decoding"
        );
    }
    Ok(policy)
}

/// A policy and the log that it fills.
pub struct Audit {
    policy: Policy,
    format: Format,
    mode: Mode,
    event_bytes_max: Option<usize>,
    clock: fn() -> Timestamp,
    queue: Queue,
}

/// Why an event is not in the log: the part that lost it, by upstream's name, and why.
struct Lost {
    plugin: &'static str,
    why: String,
}

impl Audit {
    /// Opens the log and starts writing.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(
        policy: Policy,
        options: Options,
        clock: fn() -> Timestamp,
    ) -> Result<Self, OpenError> {
        let out = match options.path {
            None => Out::Stdout(io::stdout()),
            Some(path) => Out::File(LogFile::open(path, options.rotation, clock)?),
        };
        Ok(Self {
            policy,
            format: options.format,
            mode: options.mode,
            event_bytes_max: options.event_bytes_max,
            clock,
            queue: Queue::start(out).map_err(OpenError::Thread)?,
        })
    }

    /// Waits until everything is written that was told so far.
    pub async fn flush(&self) {
        self.queue.flush().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn evaluate(&self, request: &Attributes) -> Audited {
        self.policy.evaluate(request)
    }

    /// An event as it is written; it loses its bodies where it is too large.
    fn line(&self, event: &mut Event) -> Result<String, Lost> {
        let mut line = self.encoded(event)?;
        let Some(bytes_max) = self.event_bytes_max.filter(|max| line.len() > *max) else {
            return Ok(line);
        };
        if event.level >= Level::Request {
            event.truncate();
            line = self.encoded(event)?;
        }
        if line.len() > bytes_max {
            return Err(Lost {
                plugin: "truncate",
                why: "event is too large even after truncating".to_owned(),
            });
        }
        Ok(line)
    }

    fn encoded(&self, event: &Event) -> Result<String, Lost> {
        match self.format {
            Format::Legacy => Ok(event.legacy()),
            Format::Json => event.json().map_err(|error| Lost {
                plugin: "log",
                why: error.to_string(),
            }),
        }
    }

    /// Writes a line, or sees to it that it is written, as the mode says.
    async fn write(&self, line: String) -> Result<Option<Written>, Lost> {
        if self.mode == Mode::Batch {
            let offered = self.queue.offer(line);
            return offered.map(Some).ok_or_else(|| Lost {
                plugin: "buffered",
                why: "audit buffer queue blocked".to_owned(),
            });
        }
        let written = self.queue.send(line).await;
        settled(written.await).map(|()| None)
    }
}

/// What became of a line.
fn settled(
    written: Result<io::Result<()>, tokio::sync::oneshot::error::RecvError>,
) -> Result<(), Lost> {
    let why = match written {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the audit log's thread has ended".to_owned(),
    };
    Err(Lost { plugin: "log", why })
}
