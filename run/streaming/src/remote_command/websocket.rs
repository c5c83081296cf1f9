//! Commands over WebSocket: binary messages whose first byte is the channel.
//!
//! `v4.channel.k8s.io` and `v5.channel.k8s.io` differ in one thing: with v5 the client can end a
//! channel, by a message of 255 and the channel's number.

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Channel, Channels, Reader, Serving, Writer};
use crate::chunks::{CHUNKS_MAX, Chunk, ChunkReader, ChunkWriter};

/// First byte of the message that ends a channel.
///
/// Source: Kubernetes, `apimachinery/pkg/util/remotecommand`, `StreamClose`.
const CLOSE_CHANNEL: u8 = 255;

/// What the task that writes is told.
enum Outgoing {
    Data(Channel, Bytes),
    End(Channel),
}

/// Where messages for the two channels towards the command go.
#[derive(Default)]
struct Inputs {
    stdin: Option<mpsc::Sender<Bytes>>,
    resize: Option<mpsc::Sender<Bytes>>,
}

/// Serves a command over a WebSocket whose handshake is done, in tasks of its own.
///
/// The socket is closed when the error channel has ended.
pub fn serve_websocket<IO>(socket: WebSocketStream<IO>, channels: Channels) -> Serving
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sink, messages) = socket.split();
    let (outgoing, queue) = mpsc::channel(CHUNKS_MAX);
    let gone = CancellationToken::new();
    let mut inputs = Inputs::default();
    let mut input = |channel, slot: fn(&mut Inputs) -> &mut Option<mpsc::Sender<Bytes>>| {
        channels.has(channel).then(|| {
            let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
            *slot(&mut inputs) = Some(sender);
            Box::new(ChunkReader::new(receiver)) as Reader
        })
    };
    let stdin = input(Channel::Stdin, |inputs| &mut inputs.stdin);
    let resize = input(Channel::Resize, |inputs| &mut inputs.resize);
    let output = |channel| {
        let wrap = move |chunk| match chunk {
            Chunk::Data(bytes) => Outgoing::Data(channel, bytes),
            Chunk::End => Outgoing::End(channel),
        };
        Box::new(ChunkWriter::new(outgoing.clone(), wrap)) as Writer
    };
    let serving = Serving {
        stdin,
        stdout: channels
            .has(Channel::Stdout)
            .then(|| output(Channel::Stdout)),
        stderr: channels
            .has(Channel::Stderr)
            .then(|| output(Channel::Stderr)),
        error: output(Channel::Error),
        resize,
        gone: gone.clone(),
    };
    tokio::spawn(async move {
        receive(messages, inputs).await;
        gone.cancel();
    });
    tokio::spawn(send(sink, queue));
    serving
}

/// Takes messages to their channels until the client hangs up or talks nonsense.
async fn receive(
    mut messages: impl Stream<Item = tungstenite::Result<Message>> + Unpin,
    mut inputs: Inputs,
) {
    while let Some(message) = messages.next().await {
        let bytes = match message {
            Ok(Message::Binary(bytes)) => bytes,
            Ok(Message::Close(_)) => return,
            // Pings are answered by the library; there are no texts in this protocol.
            Ok(_) => continue,
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "client hung up");
                return;
            }
        };
        let slot = |inputs: &mut Inputs, number: u8| match Channel::from_number(number) {
            Some(Channel::Stdin) => inputs.stdin.take(),
            Some(Channel::Resize) => inputs.resize.take(),
            _ => None,
        };
        match bytes.split_first() {
            Some((&CLOSE_CHANNEL, rest)) => {
                if let Some(number) = rest.first() {
                    drop(slot(&mut inputs, *number));
                }
            }
            Some((&number, _)) => {
                let Some(sender) = slot(&mut inputs, number) else {
                    continue;
                };
                // A command that reads no more is no reason to end; its input is just not kept.
                if sender.send(bytes.slice(1..)).await.is_ok() {
                    match Channel::from_number(number) {
                        Some(Channel::Stdin) => inputs.stdin = Some(sender),
                        _ => inputs.resize = Some(sender),
                    }
                }
            }
            None => {}
        }
    }
}

/// Sends what the channels say until the error channel has ended, then closes the socket.
async fn send(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut queue: mpsc::Receiver<Outgoing>,
) {
    while let Some(outgoing) = queue.recv().await {
        let (channel, bytes) = match outgoing {
            Outgoing::Data(channel, bytes) => (channel, bytes),
            Outgoing::End(Channel::Error) => break,
            Outgoing::End(_) => continue,
        };
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        message.put_u8(channel as u8);
        message.put(bytes);
        if let Err(error) = sink.send(Message::Binary(message.freeze())).await {
            debug!(error = &error as &dyn std::error::Error, "client hung up");
            return;
        }
    }
    // Go's clients take anything but a normal closure, such as a frame without a code, as a failure.
    let closing = CloseFrame {
        code: CloseCode::Normal,
        reason: Utf8Bytes::default(),
    };
    let closed = sink.send(Message::Close(Some(closing))).await;
    if let Err(error) = closed {
        debug!(error = &error as &dyn std::error::Error, "client hung up");
    }
}
