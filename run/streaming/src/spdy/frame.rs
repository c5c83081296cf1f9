//! Frames: the units a connection is made of, and their bytes.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::headers::{HeaderEncoder, Headers};

/// The protocol version that control frames carry; 3.1 is 3 with window updates.
const VERSION: u16 = 3;

/// Largest control frame that is read, in bytes.
const CONTROL_BYTES_MAX: usize = 64 << 10;

/// Flag of a frame after which its sender says no more on the stream.
pub(super) const FLAG_FIN: u8 = 1;

/// Status of a reset stream: the peer did not want it.
pub(super) const STATUS_REFUSED_STREAM: u32 = 3;

/// Types of control frames.
pub(super) mod kind {
    pub(crate) const SYN_STREAM: u16 = 1;
    pub(crate) const SYN_REPLY: u16 = 2;
    pub(crate) const RST_STREAM: u16 = 3;
    pub(crate) const PING: u16 = 6;
    pub(crate) const GOAWAY: u16 = 7;
    pub(crate) const HEADERS: u16 = 8;
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum SpdyError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The peer speaks something else.
    #[error("the peer speaks SPDY version {0}, not 3")]
    Version(u16),
    /// A control frame is longer than any that makes sense.
    #[error("a control frame of {0} bytes is too long")]
    TooLong(usize),
    /// A control frame ends before its fields do.
    #[error("a control frame of type {0} is too short")]
    TooShort(u16),
    /// A header block is damaged or too large.
    #[error("a header block is damaged or too large")]
    Headers,
    /// Headers could not be compressed.
    #[error("headers cannot be compressed")]
    Compression,
    /// The peer refused a stream.
    #[error("the peer refused the stream")]
    Refused,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
}

/// A frame to be sent.
#[derive(Debug)]
pub(super) enum Frame {
    Open { stream: u32, headers: Headers },
    Reply { stream: u32 },
    Data { stream: u32, bytes: Bytes },
    End { stream: u32 },
    Reset { stream: u32, status: u32 },
    Pong { id: u32 },
    GoAway { last_stream: u32 },
}

impl Frame {
    /// Appends the bytes of the frame.
    pub(super) fn encode(
        &self,
        headers: &mut HeaderEncoder,
        out: &mut BytesMut,
    ) -> Result<(), SpdyError> {
        match self {
            Self::Open {
                stream,
                headers: pairs,
            } => {
                let block = headers.encode(pairs)?;
                control(out, kind::SYN_STREAM, 10 + block.len());
                out.put_u32(*stream);
                // No associated stream, no priority, no credential slot.
                out.put_slice(&[0; 6]);
                out.put_slice(&block);
            }
            Self::Reply { stream } => {
                let block = headers.encode(&Headers::default())?;
                control(out, kind::SYN_REPLY, 4 + block.len());
                out.put_u32(*stream);
                out.put_slice(&block);
            }
            Self::Data { stream, bytes } => data(out, *stream, 0, bytes),
            Self::End { stream } => data(out, *stream, FLAG_FIN, &[]),
            Self::Reset { stream, status } => two(out, kind::RST_STREAM, *stream, *status),
            Self::Pong { id } => {
                control(out, kind::PING, 4);
                out.put_u32(*id);
            }
            Self::GoAway { last_stream } => two(out, kind::GOAWAY, *last_stream, 0),
        }
        Ok(())
    }
}

fn control(out: &mut BytesMut, kind: u16, length: usize) {
    out.put_u16(0x8000 | VERSION);
    out.put_u16(kind);
    put_flags_and_length(out, 0, length);
}

fn two(out: &mut BytesMut, kind: u16, first: u32, second: u32) {
    control(out, kind, 8);
    out.put_u32(first);
    out.put_u32(second);
}

fn data(out: &mut BytesMut, stream: u32, flags: u8, bytes: &[u8]) {
    out.put_u32(stream);
    put_flags_and_length(out, flags, bytes.len());
    out.put_slice(bytes);
}

fn put_flags_and_length(out: &mut BytesMut, flags: u8, length: usize) {
    // Callers keep below 24 bits: header blocks by their limit, data by the size of a chunk.
    let length = u32::try_from(length).unwrap_or(u32::MAX) & 0x00ff_ffff;
    out.put_u32(u32::from(flags) << 24 | length);
}

/// The first eight bytes of a frame that comes in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    Control {
        kind: u16,
        flags: u8,
        length: usize,
    },
    Data {
        stream: u32,
        flags: u8,
        length: usize,
    },
}

impl Head {
    /// Reads the head of the next frame; `None` when the connection ends before it.
    pub(super) async fn read(io: &mut (impl AsyncRead + Unpin)) -> Result<Option<Self>, SpdyError> {
        let first = match io.read_u32().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            first => first?,
        };
        let second = io.read_u32().await?;
        let [flags, a, b, c] = second.to_be_bytes();
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        if first & 0x8000_0000 == 0 {
            return Ok(Some(Self::Data {
                stream: first,
                flags,
                length,
            }));
        }
        let [high, low, kind_high, kind_low] = first.to_be_bytes();
        let version = u16::from_be_bytes([high & 0x7f, low]);
        if version != VERSION {
            return Err(SpdyError::Version(version));
        }
        if length > CONTROL_BYTES_MAX {
            return Err(SpdyError::TooLong(length));
        }
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        Ok(Some(Self::Control {
            kind,
            flags,
            length,
        }))
    }
}
