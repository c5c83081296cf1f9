//! A log file as a stream of bytes, to its end or for as long as its container runs.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, Interest};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Formatter, Options, tail_offset};

/// Bytes read from the file at once.
const BLOCK_BYTES: usize = 64 << 10;
/// Longest wait for a file that is followed and not there yet.
const FILE_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(1);
/// Blocks that may wait for a slow client.
pub(crate) const BLOCKS_MAX: usize = 4;

/// Sends a log to a client.
///
/// `ended`: when given, the file is followed until it is cancelled, then read to its end once more.
///
/// # Errors
/// The file cannot be read. A client that hung up is no error.
pub(crate) async fn send(
    path: &Path,
    options: Options,
    ended: Option<CancellationToken>,
    out: mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let watch = match &ended {
        Some(_) => Some(Watch::new(path)?),
        None => None,
    };
    let mut file = open(path, ended.as_ref()).await?;
    let offset = match options.tail_lines {
        Some(lines) => tail_offset(&mut file, lines).await?,
        None => 0,
    };
    file.seek(io::SeekFrom::Start(offset)).await?;
    let mut reader = Reader {
        path: path.to_owned(),
        file,
        rest: Vec::new(),
        formatter: Formatter::new(options),
    };
    loop {
        let is_over = ended.as_ref().is_none_or(CancellationToken::is_cancelled);
        if !reader.drain(&out).await? {
            return Ok(());
        }
        let (Some(watch), Some(ended), false) = (&watch, &ended, is_over) else {
            return Ok(());
        };
        tokio::select! {
            changed = watch.changed() => changed?,
            () = ended.cancelled() => {}
            () = out.closed() => return Ok(()),
        }
        reader.follow_rotation().await?;
    }
}

/// Opens the file. One that is followed may not be there for a moment.
async fn open(path: &Path, ended: Option<&CancellationToken>) -> io::Result<tokio::fs::File> {
    match tokio::fs::File::open(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound && ended.is_some() => {
            if let Some(directory) = path.parent() {
                let watch = Watch::new(directory)?;
                tokio::time::timeout(FILE_WAIT_MAX, watch.changed())
                    .await
                    .ok();
            }
            tokio::fs::File::open(path).await
        }
        opened => opened,
    }
}

struct Reader {
    path: PathBuf,
    file: tokio::fs::File,
    rest: Vec<u8>,
    formatter: Formatter,
}

impl Reader {
    /// Sends all whole lines there are; false when the client has enough.
    async fn drain(&mut self, out: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<bool> {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let length = self.file.read(&mut block).await?;
            if length == 0 {
                return Ok(true);
            }
            self.rest
                .extend_from_slice(block.get(..length).unwrap_or_default());
            let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
                continue;
            };
            let tail = self.rest.split_off(end + 1);
            let whole = std::mem::replace(&mut self.rest, tail);
            let mut text = Vec::with_capacity(whole.len());
            for line in whole.split_inclusive(|&byte| byte == b'\n') {
                self.formatter.add(line, &mut text);
            }
            if !text.is_empty() && out.send(Ok(Bytes::from(text))).await.is_err() {
                return Ok(false);
            }
            if self.formatter.is_full() {
                return Ok(false);
            }
        }
    }

    /// Goes on with the new file when the runtime has begun one.
    async fn follow_rotation(&mut self) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(now) = tokio::fs::metadata(&self.path).await else {
            return Ok(());
        };
        let own = self.file.metadata().await?;
        let position = self.file.stream_position().await?;
        if now.ino() != own.ino() && position >= own.len() {
            self.file = tokio::fs::File::open(&self.path).await?;
        }
        Ok(())
    }
}

/// Changes of a file or of what is in a directory.
struct Watch {
    fd: AsyncFd<std::os::fd::OwnedFd>,
}

impl Watch {
    fn new(path: &Path) -> io::Result<Self> {
        let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let wanted = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::DELETE_SELF
            | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&fd, path, wanted)?;
        #[expect(
            deprecated,
            reason = "sound for an owned descriptor that is not taken out; the other constructor is unsafe"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd })
    }

    async fn changed(&self) -> io::Result<()> {
        let mut guard = self.fd.readable().await?;
        let mut buffer = [0_u8; 4096];
        loop {
            match rustix::io::read(self.fd.get_ref(), &mut buffer) {
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        guard.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_followed_log_is_sent_as_it_grows_until_its_container_ends() {
        use tokio::io::AsyncWriteExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        let mut file = tokio::fs::File::create(&path).await.unwrap();
        file.write_all(b"2026-11-21T00:00:01Z stdout F one\n")
            .await
            .unwrap();
        file.flush().await.unwrap();
        let (out, mut received) = mpsc::channel(BLOCKS_MAX);
        let ended = CancellationToken::new();
        let sending = tokio::spawn({
            let (path, ended) = (path.clone(), ended.clone());
            async move { send(&path, Options::default(), Some(ended), out).await }
        });
        assert_eq!(received.recv().await.unwrap().unwrap(), "one\n");
        file.write_all(b"2026-11-21T00:00:02Z stdout F two\n")
            .await
            .unwrap();
        file.flush().await.unwrap();
        assert_eq!(received.recv().await.unwrap().unwrap(), "two\n");
        ended.cancel();
        assert!(received.recv().await.is_none());
        sending.await.unwrap().unwrap();
    }
}
