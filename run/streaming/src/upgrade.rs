//! The server's side of the handshakes: HTTP requests that turn into SPDY or WebSocket connections.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

/// Header in which SPDY clients list the stream protocols they speak, best first, one per line.
///
/// Source: Kubernetes, `apimachinery/pkg/util/httpstream`, `HeaderProtocolVersion`.
pub const STREAM_PROTOCOL: &str = "x-stream-protocol-version";

/// The protocol that `Upgrade` names.
pub const SPDY: &str = "SPDY/3.1";

/// Why a request cannot be turned into streams; the text is the body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The request asks for no upgrade.
    #[error("unable to upgrade: missing upgrade headers in request: {0}")]
    NotAsked(String),
    /// The ports of a port-forward request cannot be read.
    #[error("{0}")]
    Ports(String),
    /// The client speaks no protocol that we do.
    #[error(
        "unable to upgrade: unable to negotiate protocol: client supports {client:?}, server accepts {server:?}"
    )]
    NoCommonProtocol {
        /// What the client offered.
        client: Vec<String>,
        /// What would have been taken.
        server: Vec<String>,
    },
}

impl UpgradeError {
    /// The HTTP status to answer with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotAsked(_) | Self::Ports(_) => StatusCode::BAD_REQUEST,
            Self::NoCommonProtocol { .. } => StatusCode::FORBIDDEN,
        }
    }
}

/// What a request wants to become.
#[derive(Debug)]
pub enum Offer {
    /// SPDY, with the stream protocols that the client speaks.
    Spdy {
        /// Best first.
        protocols: Vec<String>,
        /// The connection, once the answer is sent.
        upgrade: OnUpgrade,
    },
    /// WebSocket, with the sub-protocols that the client speaks.
    WebSocket {
        /// Best first.
        protocols: Vec<String>,
        /// Answer to the client's key.
        accept: String,
        /// The connection, once the answer is sent.
        upgrade: OnUpgrade,
    },
}

/// Reads from a request what it wants to become.
///
/// # Errors
/// [`UpgradeError::NotAsked`] for an ordinary request.
pub fn offer<B>(mut request: Request<B>) -> Result<Offer, UpgradeError> {
    let upgrade = hyper::upgrade::on(&mut request);
    let headers = request.headers();
    let wanted = values(headers, header::UPGRADE.as_str());
    let is = |name: &str| wanted.iter().any(|value| value.eq_ignore_ascii_case(name));
    let connection = values(headers, header::CONNECTION.as_str());
    let not_asked = || UpgradeError::NotAsked(format!("{headers:?}"));
    if !connection
        .iter()
        .any(|value| value.eq_ignore_ascii_case("upgrade"))
    {
        return Err(not_asked());
    }
    if is(SPDY) {
        return Ok(Offer::Spdy {
            protocols: values(headers, STREAM_PROTOCOL),
            upgrade,
        });
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|_| is("websocket"));
    let accept = derive_accept_key(key.ok_or_else(not_asked)?.as_bytes());
    let protocols = values(headers, header::SEC_WEBSOCKET_PROTOCOL.as_str());
    Ok(Offer::WebSocket {
        protocols,
        accept,
        upgrade,
    })
}

/// The first of the client's protocols that is among ours.
///
/// # Errors
/// [`UpgradeError::NoCommonProtocol`] when there is none.
pub fn negotiate(client: &[String], ours: &[&'static str]) -> Result<&'static str, UpgradeError> {
    let known = client
        .iter()
        .find_map(|name| ours.iter().find(|our| *our == name));
    known
        .copied()
        .ok_or_else(|| UpgradeError::NoCommonProtocol {
            client: client.to_vec(),
            server: ours.iter().map(|name| (*name).to_owned()).collect(),
        })
}

/// The answer that turns a request into SPDY, with the stream protocol that was agreed on.
pub fn spdy_answer(protocol: Option<&HeaderValue>) -> Response<()> {
    let mut answer = switching(SPDY);
    if let Some(protocol) = protocol {
        answer
            .headers_mut()
            .insert(STREAM_PROTOCOL, protocol.clone());
    }
    answer
}

/// The answer that turns a request into a WebSocket, with the protocol that was agreed on, if one was.
pub fn websocket_answer(accept: &str, protocol: Option<HeaderValue>) -> Response<()> {
    let mut answer = switching("websocket");
    let headers = answer.headers_mut();
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    answer
}

/// The connection that a request has become; wait for it after the answer is on its way.
///
/// # Errors
/// When the client hung up before.
pub async fn upgraded(
    upgrade: OnUpgrade,
) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static, hyper::Error> {
    Ok(TokioIo::new(upgrade.await?))
}

/// The same as a WebSocket.
///
/// # Errors
/// When the client hung up before.
pub async fn upgraded_websocket(
    upgrade: OnUpgrade,
) -> Result<WebSocketStream<impl AsyncRead + AsyncWrite + Send + Unpin + 'static>, hyper::Error> {
    let io = upgraded(upgrade).await?;
    Ok(WebSocketStream::from_raw_socket(io, Role::Server, None).await)
}

fn switching(protocol: &'static str) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
    answer
}

/// All values of a header, over its lines and the commas in them.
fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let values = lines.flat_map(|line| line.split(',')).map(str::trim);
    values
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            let name = name.parse::<header::HeaderName>().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn spdy_protocols_come_in_lines_and_lists() {
        let request = request(&[
            ("connection", "Upgrade"),
            ("upgrade", "SPDY/3.1"),
            (STREAM_PROTOCOL, "v5.channel.k8s.io"),
            (STREAM_PROTOCOL, "v4.channel.k8s.io, v3.channel.k8s.io"),
        ]);
        let Ok(Offer::Spdy { protocols, .. }) = offer(request) else {
            panic!("no SPDY")
        };
        assert_eq!(
            negotiate(&protocols, &["v4.channel.k8s.io"]),
            Ok("v4.channel.k8s.io")
        );
        let error = negotiate(&protocols, &["v1"]).unwrap_err();
        assert_eq!(error.status(), StatusCode::FORBIDDEN);
    }

    #[test]
    fn a_websocket_key_is_answered_as_the_standard_says() {
        let request = request(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "v5.channel.k8s.io"),
        ]);
        let Ok(Offer::WebSocket { accept, .. }) = offer(request) else {
            panic!("no WebSocket")
        };
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_ordinary_request_is_told_what_is_missing() {
        let error = offer(request(&[])).unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(
            error
                .to_string()
                .starts_with("unable to upgrade: missing upgrade headers")
        );
    }
}
