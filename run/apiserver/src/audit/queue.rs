//! The lines that wait to be written, and the thread that writes them: a slow disk holds up those who wait for it, and no
//! others.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::file::Out;

/// Most lines that wait. Source: apiserver `server/options/audit.go` `defaultBatchBufferSize`.
const LINES_MAX: usize = 10_000;
/// Most bytes of lines that wait; a longer line waits alone.
const BYTES_MAX: u32 = 64 << 20;

/// What became of a line.
pub(super) type Written = oneshot::Receiver<io::Result<()>>;

/// Lines on their way.
pub(super) struct Queue {
    lines: mpsc::Sender<Entry>,
    room: Arc<Semaphore>,
    /// What writes lines for nobody who waits.
    unattended: TaskTracker,
}

struct Entry {
    line: String,
    written: oneshot::Sender<io::Result<()>>,
    /// Ends with the line.
    _room: OwnedSemaphorePermit,
}

impl Queue {
    /// Starts the thread; it ends when the queue is dropped and empty.
    pub(super) fn start(mut out: Out) -> io::Result<Self> {
        let (lines, mut waiting) = mpsc::channel::<Entry>(LINES_MAX);
        let write = move || {
            while let Some(entry) = waiting.blocking_recv() {
                let outcome = match entry.line.as_str() {
                    "" => Ok(()),
                    line => out.write(line),
                };
                if entry.written.send(outcome).is_err() {
                    tracing::debug!("nobody asks what became of an audit event");
                }
            }
        };
        std::thread::Builder::new()
            .name("audit-log".into())
            .spawn(write)?;
        Ok(Self {
            lines,
            room: Arc::new(Semaphore::new(BYTES_MAX as usize)),
            unattended: TaskTracker::new(),
        })
    }

    /// Puts a line into the queue once there is room.
    pub(super) async fn send(&self, line: String) -> Written {
        let (written, outcome) = oneshot::channel();
        let room = Arc::clone(&self.room).acquire_many_owned(bytes(&line));
        // Neither is ever closed while the queue is there; if the thread is gone, who waits is told so.
        if let Ok(room) = room.await {
            let entry = Entry {
                line,
                written,
                _room: room,
            };
            if self.lines.send(entry).await.is_err() {
                tracing::error!("the audit log's thread has ended");
            }
        }
        outcome
    }

    /// Puts a line into the queue if there is room.
    pub(super) fn offer(&self, line: String) -> Option<Written> {
        let (written, outcome) = oneshot::channel();
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes(&line));
        let entry = Entry {
            line,
            written,
            _room: room.ok()?,
        };
        self.lines.try_send(entry).ok().map(|()| outcome)
    }

    /// Does something that ends in a write, while nobody waits for it.
    pub(super) fn unattended(&self, task: impl Future<Output = ()> + Send + 'static) {
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(self.unattended.spawn_on(task, &runtime)),
            Err(error) => tracing::error!(%error, "an audit event is lost"),
        }
    }

    /// Waits until all that was put into the queue is written.
    pub(super) async fn flush(&self) {
        self.unattended.close();
        self.unattended.wait().await;
        if self.send(String::new()).await.await.is_err() {
            tracing::error!("the audit log's thread has ended");
        }
    }
}

fn bytes(line: &str) -> u32 {
    u32::try_from(line.len()).map_or(BYTES_MAX, |bytes| bytes.min(BYTES_MAX))
}
