//! Ports over WebSocket: a channel of data and one of complaints for each port, numbered in the order of the ports.
//!
//! Each channel begins with its port, two bytes, the lower first.
//!
//! Source: Kubernetes, `cri-streaming/pkg/streaming/portforward/websocket.go`.

use futures::{SinkExt as _, Stream as Messages, StreamExt as _, future::join_all};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message},
};
use tracing::debug;

use crate::{
    bridge::{BridgeError, normal_end},
    chunks::{CHUNK_BYTES_MAX, CHUNKS_MAX},
    framing::Framing,
    remote_command::{Reader, STREAM_CREATION_MAX},
    spdy::{Connection, Headers, SpdyError, Stream},
};

/// Most ports of one connection: a byte numbers their channels.
const PORTS_MAX: usize = 127;

/// The ports of a request, each of whose lists names some: `80`, or `81,82`.
///
/// # Errors
/// What is wrong, in upstream's words.
pub(crate) fn ports(lists: &[String]) -> Result<Vec<u16>, String> {
    if lists.is_empty() {
        return Err("query parameter \"port\" is required".to_owned());
    }
    let mut ports = Vec::new();
    for list in lists {
        if list.is_empty() {
            return Err("query parameter \"port\" cannot be empty".to_owned());
        }
        for port in list.split(',') {
            match port.parse() {
                Ok(0) => return Err(format!("port {list:?} must be > 0")),
                Ok(port) => ports.push(port),
                Err(error) => return Err(format!("unable to parse {list:?} as a port: {error}")),
            }
        }
    }
    if ports.len() > PORTS_MAX {
        return Err(format!(
            "at most {PORTS_MAX} ports can be forwarded at once"
        ));
    }
    Ok(ports)
}

/// Passes bytes between a client's channels and a runtime's streams until all of those, or the client, have ended.
pub(crate) async fn serve<S>(
    mut socket: WebSocketStream<S>,
    framing: Framing,
    ports: &[u16],
    runtime: &Connection,
) -> Result<(), BridgeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let channels = || (0_u8..).step_by(2);
    for (data, port) in channels().zip(ports) {
        for channel in [data, data + 1] {
            let message = framing.message(channel, &port.to_le_bytes());
            socket.send(message).await.map_err(Box::new)?;
        }
    }
    let (outgoing, mut queue) = mpsc::channel(CHUNKS_MAX);
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for (data, port) in channels().zip(ports) {
        // A runtime waits for both streams of a request. SPDY wants the names of headers in small letters.
        let complaints = open(runtime, "error", *port, data).await?;
        let (output, input) = open(runtime, "data", *port, data).await?.split();
        inputs.push(input);
        let readers: [(u8, Reader); 2] =
            [(data, Box::new(output)), (data + 1, Box::new(complaints))];
        outputs.extend(
            readers.map(|(channel, reader)| send(framing, channel, reader, outgoing.clone())),
        );
    }
    drop(outgoing);
    let (mut sink, messages) = socket.split();
    let down = async {
        let written = async {
            while let Some(message) = queue.recv().await {
                sink.send(message).await?;
            }
            sink.send(normal_end()).await
        };
        tokio::join!(written, join_all(outputs)).0
    };
    tokio::select! {
        () = receive(messages, framing, inputs) => Ok(()),
        outcome = down => Ok(outcome.map_err(Box::new)?),
    }
}

async fn open(
    runtime: &Connection,
    what: &str,
    port: u16,
    request: u8,
) -> Result<Stream, SpdyError> {
    let (port, request) = (port.to_string(), request.to_string());
    let headers = [
        ("streamtype", what),
        ("port", &port),
        ("requestid", &request),
    ];
    let opened = timeout(STREAM_CREATION_MAX, runtime.open(Headers::new(headers))).await;
    opened.map_err(|_| SpdyError::Closed)?
}

/// Puts what a stream says into the queue of messages until it has ended.
async fn send(framing: Framing, channel: u8, mut stream: Reader, queue: mpsc::Sender<Message>) {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let bytes = buffer.get(..length).unwrap_or_default();
        if queue.send(framing.message(channel, bytes)).await.is_err() {
            return;
        }
    }
}

/// Takes messages to their ports until the client hangs up; what is sent to a port that reads no more is lost.
async fn receive(
    mut messages: impl Messages<Item = tungstenite::Result<Message>> + Unpin,
    framing: Framing,
    mut inputs: Vec<impl AsyncWrite + Unpin>,
) {
    while let Some(Ok(message)) = messages.next().await {
        if message.is_close() {
            return;
        }
        let Some((channel, bytes)) = framing.read(message) else {
            continue;
        };
        let input = inputs.get_mut(usize::from(channel / 2));
        if let Some(input) = input.filter(|_| channel.is_multiple_of(2))
            && let Err(error) = input.write_all(&bytes).await
        {
            debug!(%error, channel, "a port reads no more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lists: &[&str]) -> Result<Vec<u16>, String> {
        let lists: Vec<String> = lists.iter().map(|list| (*list).to_owned()).collect();
        ports(&lists)
    }

    #[test]
    fn ports_come_in_lists_and_one_at_least() {
        assert_eq!(asked(&["80,81", "82"]), Ok(vec![80, 81, 82]));
        for wrong in [&[][..], &[""], &["80,"], &["0"], &["65536"]] {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
        let many = vec!["1"; PORTS_MAX + 1].join(",");
        assert!(asked(&[&many]).is_err());
    }
}
