//! The HTTPS listener: accepts, shakes hands, hands requests to the API server, ends gracefully.
//!
//! Knows nothing of requests; who the client is by its certificate travels as a [`Peer`] extension.

mod clients;
mod gather;
mod newcomers;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::audit::Remote;
use crate::auth::{self, Peer};
use crate::background::{Background, Ended, Ending};
use crate::respond::LongRunning;
use crate::server::ApiServer;
use gather::{Gather, Turns};
use newcomers::{Newcomer, Newcomers};

/// Most connections open at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: u32 = 8192;
/// Longest TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a request's headers. Source: apiserver `ReadHeaderTimeout`, 32 s.
const HEADER_TIMEOUT: Duration = Duration::from_secs(32);
/// Time between two pings of an HTTP/2 connection on which nothing comes in. Source: apiserver `http2.Server`, 30 s.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Longest wait for the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Requests that one HTTP/2 connection may run at once: a controller manager watches everything over one.
///
/// Source: kube-apiserver's default for `--http2-max-streams-per-connection`.
const STREAMS_MAX: u32 = 1000;
/// Requests that one HTTP/2 connection may cancel before they are begun; who cancels more loses the connection. Who ends many
/// watches at once is no attacker. Source: `net/http` ends a connection with four times as many requests waiting as may run.
const CANCELLED_MAX: usize = 4 * STREAMS_MAX as usize;
/// Most bytes that wait to be sent in one HTTP/2 request's answer: as many as a piece of an answer has.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Most bytes of headers over HTTP/2. Source: `net/http` `DefaultMaxHeaderBytes`.
const HEADER_BYTES_MAX: u32 = 1 << 20;
/// Most headers over HTTP/1: room for somebody of many groups. Upstream bounds their bytes alone, but hyper lays out room for
/// all of them at every request: for 4,096 that was a sixteenth of the time of a write.
const HEADERS_MAX: usize = 256;
/// Most bytes of a request's head over HTTP/1. What it was read into stays for as long as its connection does, and there may
/// be thousands of those. Upstream takes a mebibyte.
const HEAD_BYTES_MAX: usize = 128 << 10;
/// Longest wait for requests in flight when the listener ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Wait after the kernel refuses to accept, so that running out of files does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What can go wrong before the listener listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate authority for clients cannot be used.
    #[error("cannot use the client certificate authority")]
    ClientAuthority(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The TLS settings are refused.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// Takes the address.
///
/// # Errors
/// It is in use, not this machine's, or not allowed.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Bind { address, source })
}

/// TLS settings: our certificate, and who signs those of clients (PEM).
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    /// Who signs the certificates of clients.
    authorities: Arc<RootCertStore>,
}

/// TLS settings for our certificate, and clients whose certificates `client_authority` (PEM) signed.
///
/// # Errors
/// The authority cannot be read.
pub fn tls(
    certificate: Arc<dyn ResolvesServerCert>,
    client_authority: &str,
) -> Result<Tls, ListenError> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(client_authority.as_bytes()) {
        let root = root.map_err(|error| ListenError::ClientAuthority(error.into()))?;
        roots
            .add(root)
            .map_err(|error| ListenError::ClientAuthority(error.into()))?;
    }
    let authorities = Arc::new(roots);
    let clients = Arc::clone(&authorities);
    let clients = WebPkiClientVerifier::builder_with_provider(clients, Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| ListenError::ClientAuthority(error.into()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ListenError::Tls)?
        .with_client_cert_verifier(Arc::new(Hold(clients)))
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls {
        config: Arc::new(config),
        authorities,
    })
}

impl Tls {
    /// Who the certificate of a client names, and whether it was signed for that.
    fn peer(&self, chain: &[CertificateDer<'_>]) -> Option<Peer> {
        let (own, between) = chain.split_first()?;
        let verified = clients::verify(&self.authorities, own, between, UnixTime::now());
        if let Err(error) = &verified {
            tracing::debug!(%error, "client certificate not good");
        }
        auth::peer(own, verified.is_ok())
    }
}

/// Only sees to it that a client holds the key of the certificate it shows. What it is good for, requests tell: who shows a
/// bad one is told so in HTTP, and may show a token instead. Source: Go's `tls.RequestClientCert`, as apiserver has it.
#[derive(Debug)]
struct Hold(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Hold {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn verify_client_cert(
        &self,
        _own: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Serves until `shutdown`, then lets requests in flight end, for a bounded time.
pub async fn serve(
    listener: TcpListener,
    tls: Tls,
    server: ApiServer,
    shutdown: CancellationToken,
) {
    let ending = Arc::new(Ending::default());
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    let newcomers = Newcomers::new(server.config().limits.newcomers_max);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, remote, permit)) => {
                let connection = Connection {
                    tls: tls.clone(),
                    server: server.clone(),
                    ending: Arc::clone(&ending),
                    newcomer: newcomers.enter(),
                    remote,
                };
                tokio::spawn(async move {
                    connection.serve(stream).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted, waiting");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    ending.begin();
    let all_ended = connections.acquire_many(CONNECTIONS_MAX);
    if tokio::time::timeout(DRAIN_TIMEOUT, all_ended)
        .await
        .is_err()
    {
        tracing::warn!("requests were still in flight when the listener ended");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Remote, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, remote) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, Remote(remote.ip()), permit))
}

/// What one connection is served with.
struct Connection {
    tls: Tls,
    server: ApiServer,
    ending: Arc<Ending>,
    newcomer: Newcomer,
    remote: Remote,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls.config));
        let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
        let mut ended = Ended::new(&self.ending);
        let way = self.newcomer.gives_way();
        let stream = tokio::select! {
            () = poll_fn(|context| ended.poll(context)) => return,
            () = way.cancelled() => return,
            shaken = shaken => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    self.server.metrics().handshake_failed();
                    return tracing::debug!(%error, "TLS handshake failed");
                }
                Err(_) => {
                    self.server.metrics().handshake_failed();
                    return tracing::debug!("TLS handshake took too long");
                }
            },
        };
        let (_, session) = stream.get_ref();
        let peer = session
            .peer_certificates()
            .and_then(|chain| self.tls.peer(chain));
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let (server, ending, newcomer) = (self.server, self.ending, self.newcomer);
        let remote = server.config().audit.as_ref().map(|_| self.remote);
        let service = service_fn(move |request| {
            newcomer.asks();
            answer(server.clone(), peer.clone(), remote, &ending, request)
        });
        let turns = Turns::default();
        let gathering = is_http2.then(|| turns.clone());
        let stream = TokioIo::new(Gather::new(stream, gathering));
        let builder = builder();
        let connection = builder.serve_connection_with_upgrades(stream, service);
        let mut connection = pin!(connection.into_owned());
        let mut is_ending = false;
        let mut gives_way = Background::new(way.clone().cancelled_owned());
        let served = poll_fn(|context| {
            if gives_way.poll(context, |_| way.is_cancelled()).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if !is_ending && ended.poll(context).is_ready() {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            turns.next();
            connection.as_mut().poll(context)
        });
        if let Err(error) = served.await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(CANCELLED_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

fn answer(
    server: ApiServer,
    peer: Option<Peer>,
    remote: Option<Remote>,
    ending: &Arc<Ending>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + use<> {
    let mut request = request.map(Body::new);
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    if let Some(remote) = remote {
        request.extensions_mut().insert(remote);
    }
    let ending = Arc::clone(ending);
    async move {
        let mut response = server.handle(request).await;
        let is_long = response.extensions_mut().remove::<LongRunning>().is_some();
        Ok(response.map(|body| if is_long { until(&ending, body) } else { body }))
    }
}

/// Lets a body that may have no end end with the listener.
fn until(ending: &Arc<Ending>, body: Body) -> Body {
    if body.size_hint().exact().is_some() {
        return body;
    }
    Body::new(Until {
        body,
        ended: Some(Ended::new(ending)),
    })
}

/// A body up to the end of its listener.
struct Until {
    body: Body,
    /// `None` once it has ended.
    ended: Option<Ended>,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(ended) = &mut self.ended else {
            return Poll::Ready(None);
        };
        let frame = match ended.poll(context) {
            Poll::Ready(()) => None,
            Poll::Pending => ready!(Pin::new(&mut self.body).poll_frame(context)),
        };
        if frame.is_none() {
            self.ended = None;
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The first line of the answer to a request with so many headers.
    async fn answer_to(headers: usize) -> String {
        let (mut client, stream) = tokio::io::duplex(1 << 16);
        let served = tokio::spawn(async move {
            let service = service_fn(async |_: Request<Incoming>| {
                Ok::<_, Infallible>(Response::new(Body::empty()))
            });
            let connection = builder();
            let connection = connection.serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
        let groups = "Impersonate-Group: g\r\n".repeat(headers - 2);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{groups}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        served.await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn somebody_of_many_groups_is_heard_and_too_many_headers_are_not() {
        assert_eq!(answer_to(HEADERS_MAX).await, "HTTP/1.1 200 OK");
        let refused = answer_to(HEADERS_MAX + 1).await;
        assert_eq!(refused, "HTTP/1.1 431 Request Header Fields Too Large");
    }
}
