//! The client's side of the handshake: asks a runtime's URL for a SPDY connection.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tracing::debug;

use crate::upgrade::{SPDY, STREAM_PROTOCOL};

/// How long the other side may take to agree.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How much of a refusal is read, in bytes.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The URL is none, or not one of plain HTTP with a host and a port.
    #[error("{0:?} is no URL of a streaming server")]
    Url(String),
    /// Nothing answers.
    #[error("cannot connect to the streaming server at {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("the streaming server hung up")]
    Http(#[from] hyper::Error),
    /// It takes too long.
    #[error("the streaming server gave no answer within {} s", ANSWER_MAX.as_secs())]
    Timeout,
    /// It does not want to.
    #[error("the streaming server answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The body, as far as it was read.
        message: String,
    },
}

/// Asks a URL for a SPDY connection and gives it with the stream protocol that was agreed on.
///
/// `protocols` are offered in order, best first. URLs of runtimes are plain HTTP on loopback.
///
/// # Errors
/// When the URL is malformed, nothing answers, or the server does not agree.
pub async fn dial<'a>(
    url: &str,
    protocols: impl IntoIterator<Item = &'a str>,
) -> Result<
    (
        impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        Option<HeaderValue>,
    ),
    DialError,
> {
    let bad_url = || DialError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad_url())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.ok_or_else(bad_url)?.as_str().to_owned();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().map_err(|_| bad_url())?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, authority.parse().map_err(|_| bad_url())?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(SPDY));
    for protocol in protocols {
        headers.append(STREAM_PROTOCOL, protocol.parse().map_err(|_| bad_url())?);
    }

    let connect = TcpStream::connect(&authority);
    let connected = timeout(ANSWER_MAX, connect)
        .await
        .map_err(|_| DialError::Timeout)?;
    let tcp = connected.map_err(|source| DialError::Connect { authority, source })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            debug!(
                error = &error as &dyn std::error::Error,
                "streaming server hung up"
            );
        }
    });
    let answer = timeout(ANSWER_MAX, sender.send_request(request));
    let answer = answer.await.map_err(|_| DialError::Timeout)??;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), REFUSAL_BYTES_MAX)
            .collect()
            .await;
        let body = body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let message = String::from_utf8_lossy(&body).trim().to_owned();
        return Err(DialError::Refused { status, message });
    }
    let protocol = answer.headers().get(STREAM_PROTOCOL).cloned();
    Ok((TokioIo::new(hyper::upgrade::on(answer).await?), protocol))
}
