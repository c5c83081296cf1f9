//! Connections on which nothing is asked, or more than they may keep.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use sampan_apiserver::config::Limits;
use sampan_apiserver::listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::server::Talk;

/// A listener.
pub(crate) struct Listening {
    address: SocketAddr,
    pub(crate) connector: TlsConnector,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Listening {
    /// One where two connections may be open on which nothing was asked.
    pub(crate) async fn start() -> Self {
        let limits = Limits {
            newcomers_max: 2,
            ..Limits::upstream()
        };
        Self::of(&Talk::with(limits).await).await
    }

    /// One for a server with which somebody talks already.
    pub(crate) async fn of(talk: &Talk) -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        let certificate = CertificateDer::from(own.cert.der().to_vec());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let certified = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        let tls = listener::tls(Arc::new(certified), &own.cert.pem()).unwrap();
        let listening = listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listening.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = listener::serve(listening, tls, talk.server.clone(), shutdown.clone());
        let client = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        Self {
            address,
            connector: Arc::new(client).into(),
            shutdown,
            serving: tokio::spawn(serving),
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which hands were shaken.
    async fn shake(&self) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.connect().await;
        self.connector.connect(name, stream).await.unwrap()
    }

    /// The same for a protocol that TLS agrees on.
    pub(crate) async fn shake_for(&self, protocol: &str) -> TlsStream<TcpStream> {
        let mut client = ClientConfig::clone(self.connector.config());
        client.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let stream = self.connect().await;
        connector.connect(name, stream).await.unwrap()
    }

    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

/// Asks for something, which this nobody may not have, with a header of so many bytes, and reads the answer.
async fn ask_with(stream: &mut TlsStream<TcpStream>, bytes: usize) -> std::io::Result<String> {
    let padding = "x".repeat(bytes);
    let request = format!("GET /version HTTP/1.1\r\nhost: localhost\r\npadding: {padding}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().to_owned();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await?;
    Ok(status)
}

/// The same without much of a header.
async fn ask(stream: &mut TlsStream<TcpStream>) {
    let status = ask_with(stream, 0).await.unwrap();
    assert_eq!(status, FORBIDDEN);
}

const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden";

#[tokio::test]
async fn who_connects_and_says_nothing_gives_way() {
    let listening = Listening::start().await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(listening.connect().await);
    }
    // The two oldest are gone, the two newest are there.
    let mut byte = [0];
    for gone in &mut silent[..2] {
        assert_eq!(gone.read(&mut byte).await.unwrap_or_default(), 0);
    }
    for there in &silent[2..] {
        let silence = there.try_read(&mut byte).unwrap_err();
        assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    }
    listening.end().await;
}

#[tokio::test]
async fn who_has_asked_stays_and_who_only_shook_hands_gives_way() {
    let listening = Listening::start().await;
    let mut asked = listening.shake().await;
    ask(&mut asked).await;
    let mut shaken = listening.shake().await;
    let _newer = [listening.connect().await, listening.connect().await];
    assert_eq!(shaken.read(&mut [0]).await.unwrap_or_default(), 0);
    ask(&mut asked).await;
    listening.end().await;
}

#[tokio::test]
async fn a_connection_keeps_no_more_than_a_head_may_have() {
    let listening = Listening::start().await;
    let long = ask_with(&mut listening.shake().await, 100 << 10).await;
    assert_eq!(long.unwrap(), FORBIDDEN);
    // The answer may be lost, for not all was read that it answers.
    let too_long = ask_with(&mut listening.shake().await, 200 << 10).await;
    assert_ne!(too_long.unwrap_or_default(), FORBIDDEN);
    listening.end().await;
}
