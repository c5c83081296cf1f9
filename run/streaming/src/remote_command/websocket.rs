//! Commands over WebSocket: messages that begin with their channel.
//!
//! With `v5.channel.k8s.io` the client can end a channel, by a message of 255 and the channel's number. Before v4 the
//! error channel says in words what went wrong, and nothing when all went well.

use bytes::Bytes;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Channel, Channels, Reader, Serving, Writer};
use crate::{
    bridge::normal_end,
    chunks::{CHUNKS_MAX, Chunk, ChunkReader, ChunkWriter},
    framing::Framing,
};

/// First byte of the message that ends a channel.
///
/// Source: Kubernetes, `apimachinery/pkg/util/remotecommand`, `StreamClose`.
const CLOSE_CHANNEL: u8 = 255;

/// Most bytes that are read of how a command ended, to be told in words.
const STATUS_BYTES_MAX: usize = 64 << 10;

/// How a protocol's messages are read and written.
#[derive(Clone, Copy)]
struct Form {
    framing: Framing,
    /// Whether the client can end a channel.
    ends_channels: bool,
    /// Whether the error channel carries words, not a `Status`.
    says_in_words: bool,
}

impl Form {
    /// The form of a protocol, by its name; the empty name is that of clients that name none.
    fn of(protocol: &str) -> Self {
        Self {
            framing: Framing::of(protocol),
            ends_channels: protocol.starts_with("v5."),
            says_in_words: !protocol.starts_with('v'),
        }
    }
}

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
/// The socket is closed when the error channel has ended. An empty protocol is that of clients that name none.
pub fn serve_websocket<IO>(
    socket: WebSocketStream<IO>,
    channels: Channels,
    protocol: &str,
) -> Serving
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let form = Form::of(protocol);
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
        receive(messages, inputs, form).await;
        gone.cancel();
    });
    let outputs = [Channel::Stdout, Channel::Stderr, Channel::Error];
    let greeting = outputs.into_iter().find(|channel| channels.has(*channel));
    tokio::spawn(async move { send(sink, queue, greeting, form).await });
    serving
}

/// Takes messages to their channels until the client hangs up or talks nonsense.
async fn receive(
    mut messages: impl Stream<Item = tungstenite::Result<Message>> + Unpin,
    mut inputs: Inputs,
    form: Form,
) {
    while let Some(message) = messages.next().await {
        let message = match message {
            Ok(Message::Close(_)) => return,
            // Pings are answered by the library.
            Ok(message) => message,
            Err(error) => {
                debug!(error = &error as &dyn std::error::Error, "client hung up");
                return;
            }
        };
        let Some((number, bytes)) = form.framing.read(message) else {
            continue;
        };
        let slot = |inputs: &mut Inputs, number: u8| match Channel::from_number(number) {
            Some(Channel::Stdin) => inputs.stdin.take(),
            Some(Channel::Resize) => inputs.resize.take(),
            _ => None,
        };
        if form.ends_channels && number == CLOSE_CHANNEL {
            if let Some(number) = bytes.first() {
                drop(slot(&mut inputs, *number));
            }
            continue;
        }
        let Some(sender) = slot(&mut inputs, number) else {
            continue;
        };
        // A command that reads no more is no reason to end; its input is just not kept.
        if sender.send(bytes).await.is_ok() {
            match Channel::from_number(number) {
                Some(Channel::Stdin) => inputs.stdin = Some(sender),
                _ => inputs.resize = Some(sender),
            }
        }
    }
}

/// Sends what the channels say until the error channel has ended, then closes the socket. An empty message on the first
/// channel comes before everything: it tells the client that the command is there.
async fn send(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    mut queue: mpsc::Receiver<Outgoing>,
    greeting: Option<Channel>,
    form: Form,
) {
    let mut status = Vec::new();
    let mut next = greeting.map(|channel| (channel, Bytes::new()));
    let outcome = loop {
        if let Some((channel, bytes)) = next.take()
            && let Err(error) = sink.send(form.framing.message(channel as u8, &bytes)).await
        {
            break Err(error);
        }
        match queue.recv().await {
            Some(Outgoing::Data(Channel::Error, bytes)) if form.says_in_words => {
                let room = STATUS_BYTES_MAX
                    .saturating_sub(status.len())
                    .min(bytes.len());
                status.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            Some(Outgoing::Data(channel, bytes)) => next = Some((channel, bytes)),
            Some(Outgoing::End(channel)) if channel != Channel::Error => {}
            Some(Outgoing::End(_)) | None => break Ok(()),
        }
    };
    let words = failure(&status);
    let words = words.map(|words| form.framing.message(Channel::Error as u8, words.as_bytes()));
    let mut closing = outcome;
    for message in words.into_iter().chain([normal_end()]) {
        if closing.is_ok() {
            closing = sink.send(message).await;
        }
    }
    if let Err(error) = closing {
        debug!(error = &error as &dyn std::error::Error, "client hung up");
    }
}

/// What a `Status` says of a failure; `None` when there is none.
///
/// Source: Kubernetes, `cri-streaming/pkg/streaming/remotecommand/httpstream.go`, `v1WriteStatusFunc`.
fn failure(status: &[u8]) -> Option<String> {
    let status: serde_json::Value = serde_json::from_slice(status).ok()?;
    let says = |field: &str| status.get(field).and_then(serde_json::Value::as_str);
    (says("status") != Some("Success")).then(|| says("message").unwrap_or_default().to_owned())
}
