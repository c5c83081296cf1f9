//! What the requests of one HTTP/2 connection say at about the same time goes out together.
//!
//! HTTP/2 asks for every frame of more than a few hundred bytes to be sent before it takes the next, and a change that a
//! hundred watches of one connection tell of was a hundred records of TLS and as many calls of the kernel. Here the first
//! wish to send waits until the tasks that are ready to run have run once: what they say goes along.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that are kept: what one record of TLS holds. More is sent at once. Source: RFC 8446, 5.1.
const GATHERED_MAX: usize = 16 << 10;

/// Counts how often the task of a connection ran.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<AtomicU64>);

impl Turns {
    /// The task runs again.
    pub(super) fn next(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream that sends together what is written to it in one turn, and in what follows until the next.
pub(super) struct Gather<S> {
    stream: S,
    /// `None` sends all at once, as HTTP/1 needs it: it writes when it has something to say, and then all of it.
    turns: Option<Turns>,
    gathered: Vec<u8>,
    /// The turn in which it was first asked to send what is gathered.
    asked: Option<u64>,
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Gathers what is written in each of these turns; `None`: sends all at once.
    pub(super) fn new(stream: S, turns: Option<Turns>) -> Self {
        Self {
            stream,
            turns,
            gathered: Vec::new(),
            asked: None,
        }
    }

    /// Sends what is gathered.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let sent = Pin::new(&mut self.stream).poll_write(context, &self.gathered);
            let sent = ready!(sent)?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gathered.drain(..sent);
        }
        // A connection that says nothing keeps no room.
        self.gathered = Vec::new();
        self.asked = None;
        Poll::Ready(Ok(()))
    }

    /// Makes room for so many bytes; whether they are to be gathered.
    fn poll_room(&mut self, context: &mut Context<'_>, bytes: usize) -> Poll<io::Result<bool>> {
        if self.turns.is_none() {
            return Poll::Ready(Ok(false));
        }
        if self.gathered.len() + bytes > GATHERED_MAX {
            ready!(self.poll_send(context))?;
        }
        Poll::Ready(Ok(bytes < GATHERED_MAX))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_room(context, bytes.len()))? {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if !ready!(self.poll_room(context, bytes))? {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        for slice in slices {
            self.gathered.extend_from_slice(slice);
        }
        Poll::Ready(Ok(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(Turns(turns)) = &self.turns
            && !self.gathered.is_empty()
        {
            let turn = turns.load(Ordering::Relaxed);
            let asked = *self.asked.get_or_insert(turn);
            if asked == turn {
                // The task runs again after those that are ready now, and asks again.
                context.waker().wake_by_ref();
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_send(context))?;
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Says so much in one turn, asking for each word to be sent.
    async fn say(stream: &mut Gather<tokio::io::DuplexStream>, words: &[&[u8]]) {
        if let Some(turns) = &stream.turns {
            turns.next();
        }
        for word in words {
            stream.write_all(word).await.unwrap();
            stream.flush().await.unwrap();
        }
    }

    /// What has come so far.
    async fn come(stream: &mut tokio::io::DuplexStream) -> Vec<u8> {
        let mut buffer = vec![0; 4 * GATHERED_MAX];
        let mut read = ReadBuf::new(&mut buffer);
        poll_fn(|context| {
            let _pending = Pin::new(&mut *stream).poll_read(context, &mut read);
            Poll::Ready(())
        })
        .await;
        read.filled().to_vec()
    }

    #[tokio::test]
    async fn what_is_said_in_one_turn_goes_out_in_the_next() {
        let (stream, mut other) = tokio::io::duplex(4 * GATHERED_MAX);
        let mut stream = Gather::new(stream, Some(Turns::default()));
        say(&mut stream, &[b"one ", b"two "]).await;
        assert_eq!(come(&mut other).await, b"");
        say(&mut stream, &[b"three "]).await;
        assert_eq!(come(&mut other).await, b"one two three ");
        // Nothing is left to be asked for: the next word waits for a turn again.
        say(&mut stream, &[b"four"]).await;
        assert_eq!(come(&mut other).await, b"");
    }

    #[tokio::test]
    async fn more_than_a_record_does_not_wait() {
        let (stream, mut other) = tokio::io::duplex(4 * GATHERED_MAX);
        let mut stream = Gather::new(stream, Some(Turns::default()));
        let large = vec![b'x'; GATHERED_MAX];
        say(&mut stream, &[b"small", &large]).await;
        assert_eq!(come(&mut other).await.len(), 5 + GATHERED_MAX);
        let half = &large[..GATHERED_MAX - 1];
        say(&mut stream, &[half, half]).await;
        assert_eq!(come(&mut other).await.len(), half.len());
    }

    #[tokio::test]
    async fn nothing_is_lost_at_the_end() {
        let (stream, mut other) = tokio::io::duplex(4 * GATHERED_MAX);
        let mut stream = Gather::new(stream, Some(Turns::default()));
        say(&mut stream, &[b"last words"]).await;
        stream.shutdown().await.unwrap();
        let mut read = String::new();
        other.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "last words");
    }

    #[tokio::test]
    async fn without_turns_all_is_sent_at_once() {
        let (stream, mut other) = tokio::io::duplex(4 * GATHERED_MAX);
        let mut stream = Gather::new(stream, None);
        say(&mut stream, &[b"a word"]).await;
        assert_eq!(come(&mut other).await, b"a word");
    }

    #[tokio::test]
    async fn who_cannot_be_reached_any_more_is_told_of() {
        let (stream, other) = tokio::io::duplex(4 * GATHERED_MAX);
        drop(other);
        let mut stream = Gather::new(stream, Some(Turns::default()));
        say(&mut stream, &[b"lost"]).await;
        stream.turns.as_ref().unwrap().next();
        let refused = stream.flush().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    }
}
