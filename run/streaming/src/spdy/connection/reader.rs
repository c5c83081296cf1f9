//! The task that reads frames and takes each to its stream.

use std::sync::{Arc, Mutex};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::mpsc,
};
use tracing::debug;

use super::{Inbound, State, Stream, close, lock};
use crate::{
    chunks::{CHUNK_BYTES_MAX, CHUNKS_MAX},
    spdy::{
        SpdyError,
        frame::{FLAG_FIN, Frame, Head, STATUS_REFUSED_STREAM, kind},
        headers::HeaderDecoder,
    },
};

pub(super) struct Reader {
    state: Arc<Mutex<State>>,
    frames: mpsc::WeakSender<Frame>,
    accepted: mpsc::Sender<Stream>,
    headers: HeaderDecoder,
}

impl Reader {
    pub(super) fn new(
        state: Arc<Mutex<State>>,
        frames: mpsc::WeakSender<Frame>,
        accepted: mpsc::Sender<Stream>,
    ) -> Self {
        Self {
            state,
            frames,
            accepted,
            headers: HeaderDecoder::new(),
        }
    }

    /// Reads until the peer hangs up or talks nonsense.
    pub(super) async fn run(mut self, mut io: impl AsyncRead + Unpin) {
        if let Err(error) = self.read_frames(&mut io).await {
            debug!(
                error = &error as &dyn std::error::Error,
                "connection ended while reading"
            );
        }
        close(&self.state);
    }

    async fn read_frames(&mut self, io: &mut (impl AsyncRead + Unpin)) -> Result<(), SpdyError> {
        while let Some(head) = Head::read(io).await? {
            match head {
                Head::Data {
                    stream,
                    flags,
                    length,
                } => {
                    self.data(io, stream, length).await?;
                    if flags & FLAG_FIN != 0 {
                        lock(&self.state).streams.remove(&stream);
                    }
                }
                Head::Control {
                    kind,
                    flags,
                    length,
                } => {
                    let mut body = vec![0; length];
                    io.read_exact(&mut body).await?;
                    self.control(kind, flags, body.into()).await?;
                }
            }
        }
        Ok(())
    }

    /// Hands on the bytes of a data frame as they come, so that its length does not matter.
    async fn data(
        &self,
        io: &mut (impl AsyncRead + Unpin),
        stream: u32,
        length: usize,
    ) -> Result<(), SpdyError> {
        let queue = lock(&self.state)
            .streams
            .get(&stream)
            .map(|inbound| inbound.data.clone());
        let mut rest = length;
        while rest > 0 {
            let mut piece = vec![0; rest.min(CHUNK_BYTES_MAX)];
            io.read_exact(&mut piece).await?;
            rest -= piece.len();
            if let Some(queue) = &queue
                && queue.send(Bytes::from(piece)).await.is_err()
            {
                // Nobody reads this stream any more; others go on.
            }
        }
        Ok(())
    }

    async fn control(&mut self, kind: u16, flags: u8, mut body: Bytes) -> Result<(), SpdyError> {
        let mut number = || body.try_get_u32().map_err(|_| SpdyError::TooShort(kind));
        match kind {
            kind::SYN_STREAM => {
                let stream = number()? & 0x7fff_ffff;
                // The stream it is associated with; there is never one.
                number()?;
                let packed = body.get(2..).ok_or(SpdyError::TooShort(kind))?;
                let headers = self.headers.decode(packed)?;
                self.opened(stream, flags, headers).await;
            }
            kind::SYN_REPLY => {
                let stream = number()? & 0x7fff_ffff;
                // Decoded for the sake of the compression context that all blocks share.
                self.headers.decode(&body)?;
                let mut state = lock(&self.state);
                if let Some(inbound) = state.streams.get_mut(&stream) {
                    agree(inbound, Ok(()));
                    if flags & FLAG_FIN != 0 {
                        state.streams.remove(&stream);
                    }
                }
            }
            kind::HEADERS => {
                number()?;
                // Nothing in Kubernetes reads later headers, but they move the compression context.
                self.headers.decode(&body)?;
            }
            kind::RST_STREAM => {
                let stream = number()? & 0x7fff_ffff;
                // As others do, a reset after some data is an end: servers hang up this way.
                if let Some(mut inbound) = lock(&self.state).streams.remove(&stream) {
                    agree(&mut inbound, Err(SpdyError::Refused));
                }
            }
            kind::PING => {
                let id = number()?;
                self.send(Frame::Pong { id }).await;
            }
            // Settings and window updates; and a goodbye, after which open streams go on.
            _ => {}
        }
        Ok(())
    }

    /// Takes a stream that the peer opened, or refuses it when too many are waiting.
    async fn opened(&self, stream: u32, flags: u8, headers: crate::spdy::Headers) {
        let (Some(frames), Ok(place)) = (self.frames.upgrade(), self.accepted.try_reserve()) else {
            self.send(Frame::Reset {
                stream,
                status: STATUS_REFUSED_STREAM,
            })
            .await;
            return;
        };
        let (data, reader) = mpsc::channel(CHUNKS_MAX);
        {
            let mut state = lock(&self.state);
            state.last_peer_stream = stream;
            if flags & FLAG_FIN == 0 && state.streams.len() < super::STREAMS_MAX {
                state.streams.insert(stream, Inbound { data, reply: None });
            }
        }
        // The reply goes before anything that whoever takes the stream may say on it.
        self.send(Frame::Reply { stream }).await;
        place.send(Stream::new(stream, headers, reader, frames));
    }

    /// Sends a frame, unless everybody on this side has gone.
    async fn send(&self, frame: Frame) {
        if let Some(frames) = self.frames.upgrade()
            && frames.send(frame).await.is_err()
        {
            debug!("answer dropped, the connection has ended");
        }
    }
}

fn agree(inbound: &mut Inbound, outcome: Result<(), SpdyError>) {
    if let Some(reply) = inbound.reply.take()
        && reply.send(outcome).is_err()
    {
        debug!("nobody waits for the stream any more");
    }
}
