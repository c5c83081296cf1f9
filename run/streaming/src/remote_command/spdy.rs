//! Commands over SPDY: one stream per channel, told apart by the header `streamtype`.

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Calling, Channel, Channels, Reader, STREAM_CREATION_MAX, Serving, Writer};
use crate::spdy::{Connection, Headers, Incoming, SpdyError, Stream};

const STREAM_TYPE: &str = "streamtype";

/// Opens the streams of a command at a server that has agreed to run it.
///
/// # Errors
/// When the server refuses a stream or does not agree to one in time.
pub async fn call(connection: &Connection, channels: Channels) -> Result<Calling, SpdyError> {
    let mut streams = Streams::default();
    for channel in channels.in_opening_order() {
        let headers = Headers::new([(STREAM_TYPE, channel.name())]);
        let opened = timeout(STREAM_CREATION_MAX, connection.open(headers)).await;
        let stream = opened.map_err(|_| SpdyError::Closed)??;
        streams.put(channel, stream);
    }
    Ok(Calling {
        stdin: streams.stdin.map(write_only),
        stdout: streams.stdout.map(read_only),
        stderr: streams.stderr.map(read_only),
        error: streams.error.map(read_only).ok_or(SpdyError::Closed)?,
        resize: streams.resize.map(write_only),
    })
}

/// Waits for a client to open the streams of the command it asked for.
///
/// # Errors
/// When the client does not open them all in time, or hangs up.
pub async fn serve(mut incoming: Incoming, channels: Channels) -> Result<Serving, SpdyError> {
    let mut streams = Streams::default();
    let complete = async {
        while !streams.are_complete(channels) {
            let stream = incoming.accept().await.ok_or(SpdyError::Closed)?;
            let channel = stream
                .headers()
                .get(STREAM_TYPE)
                .and_then(Channel::from_name);
            let channel = channel.filter(|channel| channels.has(*channel));
            streams.put(channel.ok_or(SpdyError::Refused)?, stream);
        }
        Ok::<_, SpdyError>(())
    };
    timeout(STREAM_CREATION_MAX, complete)
        .await
        .map_err(|_| SpdyError::Closed)??;
    let gone = CancellationToken::new();
    let watcher = gone.clone();
    tokio::spawn(async move {
        // More streams are not wanted; the end of them tells that the client has hung up.
        while incoming.accept().await.is_some() {}
        watcher.cancel();
    });
    Ok(Serving {
        stdin: streams.stdin.map(read_only),
        stdout: streams.stdout.map(write_only),
        stderr: streams.stderr.map(write_only),
        error: streams.error.map(write_only).ok_or(SpdyError::Closed)?,
        resize: streams.resize.map(read_only),
        gone,
    })
}

#[derive(Default)]
struct Streams {
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    error: Option<Stream>,
    resize: Option<Stream>,
}

impl Streams {
    fn slot(&mut self, channel: Channel) -> &mut Option<Stream> {
        match channel {
            Channel::Stdin => &mut self.stdin,
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
            Channel::Error => &mut self.error,
            Channel::Resize => &mut self.resize,
        }
    }

    fn put(&mut self, channel: Channel, stream: Stream) {
        *self.slot(channel) = Some(stream);
    }

    fn are_complete(&mut self, channels: Channels) -> bool {
        channels
            .in_opening_order()
            .all(|channel| self.slot(channel).is_some())
    }
}

/// The direction towards us; the other one stays open as long, since servers take its end for ours.
fn read_only(stream: Stream) -> Reader {
    Box::new(stream)
}

fn write_only(stream: Stream) -> Writer {
    Box::new(stream)
}
