//! Byte streams over bounded queues of chunks: how a stream reaches the task that owns the socket.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};
use tokio_util::sync::PollSender;

/// Largest piece that goes into a queue at once, in bytes.
pub(crate) const CHUNK_BYTES_MAX: usize = 32 << 10;

/// How many pieces wait in a queue before its writer has to.
pub(crate) const CHUNKS_MAX: usize = 16;

/// What a [`ChunkWriter`] puts into its queue.
pub(crate) enum Chunk {
    /// Some bytes.
    Data(Bytes),
    /// There will be no more.
    End,
}

/// Reads the bytes that come through a queue; the end of the queue is the end of the stream.
#[derive(Debug)]
pub struct ChunkReader {
    queue: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl ChunkReader {
    pub(crate) fn new(queue: mpsc::Receiver<Bytes>) -> Self {
        Self {
            queue,
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for ChunkReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.queue.poll_recv(context)) {
                Some(bytes) => self.rest = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        let piece = self.rest.split_to(length);
        buffer.put_slice(piece.chunk());
        Poll::Ready(Ok(()))
    }
}

/// Puts the bytes written to it into a queue that carries items of type `T`.
///
/// Shutting it down, or dropping it, tells the other side that there will be no more.
pub struct ChunkWriter<T: Send + 'static> {
    queue: PollSender<T>,
    wrap: Box<dyn Fn(Chunk) -> T + Send>,
    ended: bool,
}

impl<T: Send + 'static> ChunkWriter<T> {
    pub(crate) fn new(queue: mpsc::Sender<T>, wrap: impl Fn(Chunk) -> T + Send + 'static) -> Self {
        Self {
            queue: PollSender::new(queue),
            wrap: Box::new(wrap),
            ended: false,
        }
    }
}

impl<T: Send + 'static> std::fmt::Debug for ChunkWriter<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkWriter")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> AsyncWrite for ChunkWriter<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.queue.poll_reserve(context)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        let length = buffer.len().min(CHUNK_BYTES_MAX);
        let piece = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        let item = (self.wrap)(Chunk::Data(piece));
        self.queue
            .send_item(item)
            .map_err(|_| io::ErrorKind::BrokenPipe)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The task that owns the socket flushes whenever its queue is empty.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            // A queue without a reader has nobody left to tell.
            if ready!(self.queue.poll_reserve(context)).is_ok() {
                let item = (self.wrap)(Chunk::End);
                self.queue
                    .send_item(item)
                    .map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Send + 'static> Drop for ChunkWriter<T> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.queue.abort_send();
        let item = (self.wrap)(Chunk::End);
        let Some(queue) = self.queue.get_ref() else {
            return;
        };
        if let Err(mpsc::error::TrySendError::Full(item)) = queue.try_send(item)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // The end may not get lost: the other side would wait for it.
            let queue = queue.clone();
            runtime.spawn(async move { queue.send(item).await.is_ok() });
        }
    }
}
