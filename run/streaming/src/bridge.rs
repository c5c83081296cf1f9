//! What a kubelet does with exec, attach and port-forward: it takes them to the runtime's URL.
//!
//! A SPDY request is passed on byte for byte. WebSocket requests are translated, since runtimes up to
//! containerd 2 speak neither `v5.channel.k8s.io` nor tunnelled port-forwarding.

use std::{future::Future, io, pin::Pin};

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::{
    chunks::CHUNK_BYTES_MAX,
    dial::{DialError, dial},
    framing::Framing,
    port_forward,
    remote_command::{self, Channels, serve_websocket},
    spdy::{self, Role, SpdyError},
    upgrade::{
        Offer, UpgradeError, negotiate, offer, spdy_answer, upgraded, upgraded_websocket,
        websocket_answer,
    },
};

/// The forms of a command over WebSocket, best first. A client that names none gets the oldest, in binary.
///
/// Source: Kubernetes, `apimachinery/pkg/util/remotecommand`, `cri-streaming/pkg/streaming/remotecommand/websocket.go`.
const COMMAND_PROTOCOLS: [&str; 5] = [
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
];

/// The form in which commands are passed on.
const RUNTIME_COMMAND_PROTOCOL: &str = "v4.channel.k8s.io";

/// The form in which port-forwarding is passed on.
const RUNTIME_PORT_FORWARD_PROTOCOL: &str = "portforward.k8s.io";

/// Port-forwarding over SPDY inside the messages of a WebSocket.
///
/// Source: Kubernetes, `apimachinery/pkg/util/portforward`.
const TUNNELLED_PORT_FORWARD_PROTOCOL: &str = "SPDY/3.1+portforward.k8s.io";

/// The forms of port-forwarding over WebSocket, best first. A client that names none gets channels in binary.
///
/// Source: Kubernetes, `cri-streaming/pkg/streaming/portforward/websocket.go`.
const PORT_FORWARD_PROTOCOLS: [&str; 3] = [
    TUNNELLED_PORT_FORWARD_PROTOCOL,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
];

/// The answer to a request, and what to do once it is on its way.
pub struct Bridged {
    /// The answer: 101 with the headers that the client expects.
    pub answer: Response<()>,
    /// Passes bytes until both sides are done; give it a task of its own.
    pub run: Pin<Box<dyn Future<Output = Result<(), BridgeError>> + Send>>,
}

/// Why a request was not taken to the runtime, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The request is not one we can upgrade.
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    /// The runtime is not reached.
    #[error("cannot reach the container's streams")]
    Dial(#[from] DialError),
    /// The client hung up too early.
    #[error("the client hung up before the streams were there")]
    Client(#[from] hyper::Error),
    /// The runtime does not open its streams.
    #[error("the runtime does not open the container's streams")]
    Spdy(#[from] SpdyError),
    /// A socket failed.
    #[error("the streams broke off")]
    Io(#[from] io::Error),
    /// The client's socket failed.
    #[error("the client's streams broke off")]
    WebSocket(#[from] Box<tungstenite::Error>),
}

impl BridgeError {
    /// The HTTP status to answer with when there is no [`Bridged`].
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Upgrade(error) => error.status(),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl std::fmt::Debug for Bridged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridged")
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// Takes an exec or attach request to the URL that the runtime gave for it.
///
/// `channels` must be those that the runtime was told of.
///
/// # Errors
/// When the request asks for no upgrade, or the runtime does not agree.
pub async fn command<B>(
    request: Request<B>,
    channels: Channels,
    url: &str,
) -> Result<Bridged, BridgeError> {
    match offer(request)? {
        Offer::Spdy { protocols, upgrade } => pass_spdy(&protocols, upgrade, url).await,
        Offer::WebSocket {
            protocols,
            accept,
            upgrade,
        } => {
            let protocol = agreed(&protocols, &COMMAND_PROTOCOLS)?;
            let (io, _) = dial(url, [RUNTIME_COMMAND_PROTOCOL]).await?;
            let (connection, _incoming) = spdy::start(io, Role::Client)?;
            let calling = remote_command::call(&connection, channels).await?;
            let run = async move {
                let socket = upgraded_websocket(upgrade).await?;
                let serving = serve_websocket(socket, channels, protocol);
                Ok(remote_command::join(serving, calling).await?)
            };
            Ok(Bridged {
                answer: websocket_answer(&accept, named(protocol)),
                run: Box::pin(run),
            })
        }
    }
}

/// Takes a port-forward request to the URL that the runtime gave for it. `lists` are the ports in its query.
///
/// # Errors
/// When the request asks for no upgrade, or the runtime does not agree.
pub async fn port_forward<B>(
    request: Request<B>,
    lists: &[String],
    url: &str,
) -> Result<Bridged, BridgeError> {
    match offer(request)? {
        Offer::Spdy { protocols, upgrade } => pass_spdy(&protocols, upgrade, url).await,
        Offer::WebSocket {
            protocols,
            accept,
            upgrade,
        } => {
            let protocol = agreed(&protocols, &PORT_FORWARD_PROTOCOLS)?;
            let is_tunnelled = protocol == TUNNELLED_PORT_FORWARD_PROTOCOL;
            let ports = if is_tunnelled {
                Ok(Vec::new())
            } else {
                port_forward::ports(lists)
            };
            let ports = ports.map_err(UpgradeError::Ports)?;
            let (io, _) = dial(url, [RUNTIME_PORT_FORWARD_PROTOCOL]).await?;
            let run = async move {
                let socket = upgraded_websocket(upgrade).await?;
                if is_tunnelled {
                    return tunnel(socket, io).await;
                }
                let (connection, _incoming) = spdy::start(io, Role::Client)?;
                port_forward::serve(socket, Framing::of(protocol), &ports, &connection).await
            };
            Ok(Bridged {
                answer: websocket_answer(&accept, named(protocol)),
                run: Box::pin(run),
            })
        }
    }
}

/// The protocol to speak with a client; empty for one that names none.
fn agreed(client: &[String], ours: &[&'static str]) -> Result<&'static str, UpgradeError> {
    if client.is_empty() {
        return Ok("");
    }
    negotiate(client, ours)
}

/// The header that names a protocol.
fn named(protocol: &'static str) -> Option<HeaderValue> {
    (!protocol.is_empty()).then(|| HeaderValue::from_static(protocol))
}

/// The last message of a socket. Go's clients take a closing frame without a code as a failure.
pub(crate) fn normal_end() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: Utf8Bytes::default(),
    }))
}

/// Both sides speak the same, so bytes are passed on as they are.
async fn pass_spdy(
    protocols: &[String],
    upgrade: hyper::upgrade::OnUpgrade,
    url: &str,
) -> Result<Bridged, BridgeError> {
    let (mut runtime, protocol) = dial(url, protocols.iter().map(String::as_str)).await?;
    let answer = spdy_answer(protocol.as_ref());
    let run = async move {
        let mut client = upgraded(upgrade).await?;
        tokio::io::copy_bidirectional(&mut client, &mut runtime).await?;
        Ok(())
    };
    Ok(Bridged {
        answer,
        run: Box::pin(run),
    })
}

/// Passes the bytes inside binary messages on, until either side has hung up.
async fn tunnel<S>(
    socket: WebSocketStream<S>,
    runtime: impl AsyncRead + AsyncWrite,
) -> Result<(), BridgeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut messages) = socket.split();
    let (mut from_runtime, mut to_runtime) = tokio::io::split(runtime);
    let up = async {
        while let Some(message) = messages.next().await {
            match message.map_err(Box::new)? {
                Message::Binary(bytes) => to_runtime.write_all(&bytes).await?,
                Message::Close(_) => break,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        Ok::<_, BridgeError>(())
    };
    let down = async {
        let mut buffer = vec![0; CHUNK_BYTES_MAX];
        loop {
            let length = from_runtime.read(&mut buffer).await?;
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                let closed = sink.send(normal_end()).await;
                return Ok(closed.map_err(Box::new)?);
            }
            let message = Message::Binary(Bytes::copy_from_slice(bytes));
            sink.send(message).await.map_err(Box::new)?;
        }
    };
    tokio::select! {
        outcome = up => outcome,
        outcome = down => outcome,
    }
}
