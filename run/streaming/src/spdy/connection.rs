//! A connection: two tasks that own the socket, and the streams that reach them through queues.

mod reader;

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::{mpsc, oneshot},
    task::AbortHandle,
};
use tracing::debug;

use super::{Headers, SpdyError, frame::Frame, headers::HeaderEncoder};
use crate::chunks::{CHUNKS_MAX, Chunk, ChunkReader, ChunkWriter};

/// How many frames wait for the socket before their senders have to.
const FRAMES_MAX: usize = 64;

/// How many streams the peer may have opened that nobody has taken yet.
const INCOMING_MAX: usize = 64;

/// How many streams may be open at once.
const STREAMS_MAX: usize = 4096;

/// Which side of a connection one is; it settles the numbers of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that asked for the connection.
    Client,
    /// The side that was asked.
    Server,
}

/// A handle to a connection, for opening streams.
///
/// The connection is closed when the handles, the streams and [`Incoming`] are all dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    frames: mpsc::Sender<Frame>,
    state: Arc<Mutex<State>>,
}

/// The streams that the peer opens.
#[derive(Debug)]
pub struct Incoming {
    streams: mpsc::Receiver<Stream>,
    /// Keeps the connection open while somebody waits for streams.
    _frames: mpsc::Sender<Frame>,
}

/// One stream: bytes in both directions, each of which ends by itself.
#[derive(Debug)]
pub struct Stream {
    headers: Headers,
    reader: ChunkReader,
    writer: ChunkWriter<Frame>,
}

#[derive(Debug, Default)]
struct State {
    next_stream: u32,
    last_peer_stream: u32,
    streams: HashMap<u32, Inbound>,
    is_closed: bool,
}

/// Where what the peer says on one stream goes.
#[derive(Debug)]
struct Inbound {
    data: mpsc::Sender<Bytes>,
    reply: Option<oneshot::Sender<Result<(), SpdyError>>>,
}

/// Starts speaking SPDY over a byte stream, in tasks of its own.
///
/// # Errors
/// Only when the compressor cannot be made.
pub fn start<IO>(io: IO, role: Role) -> Result<(Connection, Incoming), SpdyError>
where
    IO: AsyncRead + AsyncWrite + Send + 'static,
{
    let encoder = HeaderEncoder::new()?;
    let (read, write) = tokio::io::split(io);
    let (frames, queue) = mpsc::channel(FRAMES_MAX);
    let (accepted, streams) = mpsc::channel(INCOMING_MAX);
    let next_stream = if role == Role::Client { 1 } else { 2 };
    let state = Arc::new(Mutex::new(State {
        next_stream,
        ..State::default()
    }));
    let connection = Connection {
        frames: frames.clone(),
        state: Arc::clone(&state),
    };
    // The reader must not keep the connection open, so it holds no strong sender.
    let reader = reader::Reader::new(state.clone(), frames.downgrade(), accepted);
    let reader = tokio::spawn(reader.run(read)).abort_handle();
    tokio::spawn(write_frames(write, encoder, queue, state, reader));
    Ok((
        connection,
        Incoming {
            streams,
            _frames: frames,
        },
    ))
}

impl Connection {
    /// Opens a stream and waits until the peer has agreed to it.
    ///
    /// # Errors
    /// When the peer refuses, or the connection is closed.
    pub async fn open(&self, headers: Headers) -> Result<Stream, SpdyError> {
        let (data, reader) = mpsc::channel(CHUNKS_MAX);
        let (reply, agreed) = oneshot::channel();
        let stream = {
            let mut state = lock(&self.state);
            if state.is_closed || state.streams.len() >= STREAMS_MAX {
                return Err(SpdyError::Closed);
            }
            let stream = state.next_stream;
            state.next_stream += 2;
            state.streams.insert(
                stream,
                Inbound {
                    data,
                    reply: Some(reply),
                },
            );
            stream
        };
        let frame = Frame::Open {
            stream,
            headers: headers.clone(),
        };
        self.frames
            .send(frame)
            .await
            .map_err(|_| SpdyError::Closed)?;
        agreed.await.map_err(|_| SpdyError::Closed)??;
        Ok(Stream::new(stream, headers, reader, self.frames.clone()))
    }
}

impl Incoming {
    /// The next stream that the peer opens; `None` when the connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.streams.recv().await
    }
}

impl Stream {
    fn new(
        stream: u32,
        headers: Headers,
        data: mpsc::Receiver<Bytes>,
        frames: mpsc::Sender<Frame>,
    ) -> Self {
        let wrap = move |chunk| match chunk {
            Chunk::Data(bytes) => Frame::Data { stream, bytes },
            Chunk::End => Frame::End { stream },
        };
        Self {
            headers,
            reader: ChunkReader::new(data),
            writer: ChunkWriter::new(frames, wrap),
        }
    }

    /// The headers that the stream was opened with.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The two directions, apart.
    pub fn split(
        self,
    ) -> (
        impl AsyncRead + Send + Unpin,
        impl AsyncWrite + Send + Unpin,
    ) {
        (self.reader, self.writer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(context)
    }
}

/// Writes frames until nobody can send any, then says goodbye and hangs up.
async fn write_frames(
    mut io: impl AsyncWrite + Unpin,
    mut headers: HeaderEncoder,
    mut queue: mpsc::Receiver<Frame>,
    state: Arc<Mutex<State>>,
    reader: AbortHandle,
) {
    let mut buffer = BytesMut::new();
    let outcome: Result<(), SpdyError> = async {
        while let Some(frame) = queue.recv().await {
            frame.encode(&mut headers, &mut buffer)?;
            // Whatever waits goes out in one write.
            while let Ok(frame) = queue.try_recv() {
                frame.encode(&mut headers, &mut buffer)?;
            }
            io.write_all_buf(&mut buffer).await?;
            io.flush().await?;
        }
        let last_stream = lock(&state).last_peer_stream;
        Frame::GoAway { last_stream }.encode(&mut headers, &mut buffer)?;
        io.write_all_buf(&mut buffer).await?;
        Ok(io.shutdown().await?)
    }
    .await;
    if let Err(error) = outcome {
        debug!(
            error = &error as &dyn std::error::Error,
            "connection ended while writing"
        );
    }
    reader.abort();
    close(&state);
}

/// Ends all streams: their readers see the end, their openers an error.
fn close(state: &Mutex<State>) {
    let mut state = lock(state);
    state.is_closed = true;
    state.streams.clear();
}

/// The state is whole between any two statements, so a panic elsewhere does not spoil it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
