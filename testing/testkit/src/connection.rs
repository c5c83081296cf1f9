//! Connections to a server, one for each client.
//!
//! On the processors that the server needs too, whatever a client does is measured as the server's time. So this one has
//! no pool, no layers and no thread but that which measures; it takes from the socket all that is there at once, and a
//! watcher does not even take HTTP apart.

mod shared;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is sent.
pub type Body = Full<Bytes>;
/// An encrypted connection.
pub type Stream = TlsStream<BufReader<TcpStream>>;

/// What is read at once; rustls alone asks for 4 KiB.
const READ_BYTES: usize = 256 << 10;
/// What a watcher takes at once.
const WATCHED_BYTES: usize = 16 << 10;
/// What stands between the head of an answer and its body.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Where a server listens, and how connections to it are encrypted.
#[derive(Clone)]
pub struct Dialer {
    authority: Authority,
    name: ServerName<'static>,
    tls: TlsConnector,
    /// Bytes that the kernel keeps for us of what we do not read; as many as it likes if `None`.
    unread_bytes: Option<u32>,
}

impl Dialer {
    /// Reads a kubeconfig; its client certificate is used.
    ///
    /// # Errors
    /// It cannot be read, or names no server or no keys.
    pub async fn read(kubeconfig: &Path) -> Result<Self> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).context("no kubeconfig")?;
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
        let config = config.await.context("a kubeconfig without use")?;
        let tls = config.rustls_client_config().context("no usable keys")?;
        let authority = config.cluster_url.authority().context("no address")?;
        let host = authority.host().to_owned();
        Ok(Self {
            name: ServerName::try_from(host).context("no host's name")?,
            authority: authority.clone(),
            tls: Arc::new(tls).into(),
            unread_bytes: None,
        })
    }

    /// The same for connections of which the kernel keeps no more than so many bytes that are not read.
    ///
    /// Within one machine it takes megabytes otherwise, and who does not read looks like one who does.
    #[must_use]
    pub fn unread(self, bytes: u32) -> Self {
        Self {
            unread_bytes: Some(bytes),
            ..self
        }
    }

    /// Connects and says nothing.
    ///
    /// # Errors
    /// Nobody listens.
    pub async fn plain(&self) -> Result<TcpStream> {
        let addresses = lookup_host(self.authority.as_str()).await;
        let address = addresses.context("no address")?.next();
        let address = address.context("no address")?;
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.context("no socket")?;
        if let Some(bytes) = self.unread_bytes {
            let bounded = socket.set_recv_buffer_size(bytes);
            bounded.context("no option set")?;
        }
        let stream = socket.connect(address).await.context("no connection")?;
        stream.set_nodelay(true).context("no option set")?;
        Ok(stream)
    }

    /// Shakes hands and asks for nothing.
    ///
    /// # Errors
    /// Nobody answers, or not as a server that takes our certificate.
    pub async fn dial(&self) -> Result<Stream> {
        let stream = BufReader::with_capacity(READ_BYTES, self.plain().await?);
        let stream = self.tls.connect(self.name.clone(), stream);
        stream.await.context("no encrypted connection")
    }

    /// Opens a watch, whose address is a path.
    ///
    /// # Errors
    /// Nobody answers, or with something else.
    pub async fn watch(&self, path: &str) -> Result<Watch> {
        let mut stream = self.dial().await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\n\r\n",
            self.authority
        );
        let sent = stream.write_all(request.as_bytes()).await;
        sent.context("no watch asked for")?;
        stream.flush().await.context("no watch asked for")?;
        let mut head = Vec::new();
        while !head.windows(HEAD_END.len()).any(|bytes| bytes == HEAD_END) {
            let read = stream.read_buf(&mut head).await;
            anyhow::ensure!(read.context("no answer")? > 0, "the connection ended");
        }
        let head = String::from_utf8_lossy(&head);
        anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "no watch: {head}");
        Ok(Watch {
            source: Source::Own {
                stream: Box::new(stream),
                buffer: vec![0; WATCHED_BYTES],
            },
            last: None,
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Nobody answers, or not as an HTTPS server that takes our certificate.
    pub async fn open(&self) -> Result<Connection> {
        let stream = self.dial().await?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .context("no HTTP spoken")?;
        tokio::spawn(driven(connection));
        let host = HeaderValue::from_str(self.authority.as_str()).context("no host")?;
        Ok(Connection { sender, host })
    }
}

/// What a connection does until it ends.
async fn driven(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "a connection broke");
    }
}

/// A connection, which closes when it is dropped and no answer is read from it any more.
pub struct Connection {
    sender: SendRequest<Body>,
    host: HeaderValue,
}

impl Connection {
    /// Sends a request, whose address is a path; the answer is still to be read.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn send(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>> {
        request.headers_mut().insert(HOST, self.host.clone());
        self.sender.ready().await.context("the connection broke")?;
        self.sender.send_request(request).await.context("no answer")
    }

    /// Sends a request and reads the whole answer; its code and its size.
    ///
    /// What was read is let go of at once: gathering megabytes would be measured as the server's time.
    ///
    /// # Errors
    /// The connection breaks, or the server fails.
    pub async fn answer(&mut self, request: Request<Body>) -> Result<(u16, usize)> {
        let response = self.send(request).await?;
        let code = response.status().as_u16();
        let (mut body, mut size) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the answer broke off")?;
            let bytes = frame.into_data().unwrap_or_default();
            anyhow::ensure!(code < 500, "the server failed: {bytes:?}");
            size += bytes.len();
        }
        Ok((code, size))
    }
}

/// An open watch, of which nothing is known but how many events came.
pub struct Watch {
    source: Source,
    /// The last byte read before.
    last: Option<u8>,
}

/// What a watch is read from.
enum Source {
    /// A connection of its own.
    Own {
        stream: Box<Stream>,
        buffer: Vec<u8>,
    },
    /// A stream of a connection that others share.
    Shared(Incoming),
}

impl Watch {
    /// Waits for more, and counts the events in it; `None` at the end of the stream.
    ///
    /// # Errors
    /// It breaks off.
    pub async fn events(&mut self) -> Result<Option<usize>> {
        let frame;
        let bytes = match &mut self.source {
            Source::Own { stream, buffer } => {
                let read = stream.read(buffer).await;
                let read = read.context("the watch broke off")?;
                buffer.get(..read).filter(|bytes| !bytes.is_empty())
            }
            Source::Shared(body) => {
                frame = body.frame().await.transpose();
                let frame = frame
                    .as_ref()
                    .map_err(|error| anyhow::anyhow!("the watch broke off: {error}"))?;
                frame.as_ref().and_then(Frame::data_ref).map(Bytes::as_ref)
            }
        };
        let last = &mut self.last;
        Ok(bytes.map(|bytes| count(bytes, last)))
    }
}

/// How many events end in what was read of a watch, after the last byte that was read before.
fn count(bytes: &[u8], last: &mut Option<u8>) -> usize {
    let mut events = 0;
    for byte in bytes {
        // An event is an object on a line; other lines are of the chunks of HTTP.
        if *byte == b'\n' && *last == Some(b'}') {
            events += 1;
        }
        *last = Some(*byte);
    }
    events
}
