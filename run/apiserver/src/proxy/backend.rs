//! Connections to where requests are carried.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest wait for a connection. Source: kubelet client `DialTimeout`, 30 s; shorter, because a person waits.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A place to connect to.
pub(super) struct Target {
    /// Address or name.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
    /// `None` speaks plain HTTP.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Target {
    /// `host:port`, with brackets around IPv6 addresses.
    pub(super) fn authority(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The URL of a path there, for messages.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme(), self.authority())
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Nobody listens, the name is unknown, or the other side is not who it should be; Go's words.
    pub(super) async fn dial(&self) -> Result<SendRequest<Body>, String> {
        let address = self.authority();
        let failed = |why: String| format!("dial tcp {address}: {why}");
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = tokio::time::timeout(DIAL_TIMEOUT, connecting)
            .await
            .map_err(|_| failed("i/o timeout".to_owned()))?
            .map_err(|error| failed(words(&error)))?;
        // Keystrokes must not wait for more of them; what a socket without it does still works.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small writes will be delayed");
        }
        match &self.tls {
            None => handshake(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())
                    .map_err(|error| failed(error.to_string()))?;
                let connecting = TlsConnector::from(Arc::clone(tls)).connect(name, stream);
                let stream = tokio::time::timeout(DIAL_TIMEOUT, connecting)
                    .await
                    .map_err(|_| failed("TLS handshake timeout".to_owned()))?
                    .map_err(|error| failed(error.to_string()))?;
                handshake(stream).await
            }
        }
    }
}

/// Go's words for what people meet most.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
        std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
        std::io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Body>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        // As Go writes them: there are targets that know no other way.
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to a backend ended");
        }
    });
    Ok(sender)
}
