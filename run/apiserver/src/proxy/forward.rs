//! Carries a request to its target and the answer back; after an upgrade, bytes both ways.

use axum::body::Body;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meta::StatusError;
use meta::status::Details;

use super::{Connect, Route, Style};
use crate::audit::Record;
use crate::request::{RequestInfo, mentions};
use crate::socket::Socket;

/// Most bytes of a backend's refusal that are read. Source: `response_checker.go` `maxReadLength`.
const REFUSAL_BYTES_MAX: usize = 50_000;

/// Headers that are about one connection, not about the request.
const HOP_BY_HOP: [HeaderName; 5] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Headers that say who the client is to us; the target must not learn them.
const CREDENTIALS: [HeaderName; 1] = [AUTHORIZATION];

/// Carries one request.
pub(super) async fn forward(
    request: Connect<'_>,
    route: Route,
) -> Result<Response<Body>, StatusError> {
    let is_upgrade = wants_upgrade(&request.parts.headers);
    match route.style {
        Style::Stream if !is_upgrade => Err(StatusError::bad_request("Upgrade request required")),
        Style::Stream | Style::Proxy if is_upgrade => upgrade(request, route).await,
        Style::Stream | Style::Proxy => plain(request, route).await,
        Style::Log => log(request.info, request.parts, route).await,
    }
}

/// Whether a request asks for an upgrade. Source: apimachinery `httpstream.IsUpgradeRequest`.
fn wants_upgrade(headers: &HeaderMap) -> bool {
    mentions(headers, &CONNECTION, "upgrade")
}

/// Carries a log, as text, or over a WebSocket if the client asks for one.
async fn log(
    info: &RequestInfo,
    parts: Parts,
    route: Route,
) -> Result<Response<Body>, StatusError> {
    let message = Request::get(&route.path)
        .header(HOST, route.target.authority())
        .body(Body::empty())
        .map_err(StatusError::internal)?;
    let answer = send(&route, message).await.map_err(|why| {
        let url = meta::field::quote(&route.target.url(&route.path));
        StatusError::new(500, "", format!("Get {url}: {why}"))
    });
    let answer = unredirected(answer?)?;
    if !answer.status().is_success() {
        return Err(refusal(info, answer).await);
    }
    let mut response = Response::new(Body::new(answer.into_body()));
    if let Some(socket) = Socket::wanted(&parts) {
        return socket.carry_log(response);
    }
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, text);
    Ok(response)
}

/// A backend's refusal as a Status. Source: `GenericHttpResponseChecker`.
async fn refusal(info: &RequestInfo, answer: Response<Incoming>) -> StatusError {
    let code = answer.status();
    let body = Limited::new(answer.into_body(), REFUSAL_BYTES_MAX);
    let text = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => return StatusError::internal(error),
    };
    match code {
        StatusCode::INTERNAL_SERVER_ERROR => StatusError::internal(text),
        StatusCode::BAD_REQUEST => StatusError::bad_request(text),
        StatusCode::NOT_FOUND => generic(
            info,
            code,
            "NotFound",
            "the server could not find the requested resource",
        ),
        StatusCode::FORBIDDEN => generic(info, code, "Forbidden", &text),
        StatusCode::UNAUTHORIZED => generic(
            info,
            code,
            "Unauthorized",
            "the server has asked for the client to provide credentials",
        ),
        StatusCode::SERVICE_UNAVAILABLE => generic(
            info,
            code,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        other => generic(
            info,
            other,
            "",
            &format!(
                "the server responded with the status code {} but did not return more information",
                other.as_u16()
            ),
        ),
    }
}

fn generic(info: &RequestInfo, code: StatusCode, reason: &str, words: &str) -> StatusError {
    let (resource, name) = (
        format!("{}/{}", info.resource, info.subresource),
        info.name.clone(),
    );
    let details = Details {
        name: name.clone(),
        kind: resource.clone(),
        ..Details::default()
    };
    StatusError::new(
        code.as_u16(),
        reason,
        format!("{words} ( {resource} {name})"),
    )
    .with_details(details)
}

/// Carries a request that stays HTTP.
async fn plain(request: Connect<'_>, route: Route) -> Result<Response<Body>, StatusError> {
    let (mut parts, body) = (request.parts, request.body);
    for name in HOP_BY_HOP.iter().chain(&CREDENTIALS) {
        parts.headers.remove(name);
    }
    let message = message(&parts, &route, body)?;
    // Source: `util/proxy/transport.go`.
    let answer = send(&route, message).await.map_err(|why| {
        let why = format!("error trying to reach service: {why}");
        StatusError::new(503, "ServiceUnavailable", why)
    })?;
    let (mut head, body) = answer.into_parts();
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}

/// Carries a request that becomes a stream of bytes both ways.
async fn upgrade(request: Connect<'_>, route: Route) -> Result<Response<Body>, StatusError> {
    let mut parts = request.parts;
    let completion = request.audit.map(Record::completion);
    for name in &CREDENTIALS {
        parts.headers.remove(name);
    }
    let message = message(&parts, &route, Body::empty())?;
    let answer = send(&route, message).await.map_err(|why| {
        let why = format!("error dialing backend: {why}");
        StatusError::internal(why)
    });
    let mut answer = match route.style {
        Style::Proxy => answer?,
        Style::Log | Style::Stream => unredirected(answer?)?,
    };
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return refused_upgrade(answer);
    }
    let backend = hyper::upgrade::on(&mut answer);
    let client = hyper::upgrade::on(Request::from_parts(parts, Body::empty()));
    tokio::spawn(async move {
        match tokio::try_join!(client, backend) {
            Ok((client, backend)) => copy(client, backend).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
        drop(completion);
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = answer.headers().clone();
    Ok(response)
}

/// Copies until one side ends. Source: `upgradeaware.go`: the other side is closed then.
async fn copy(client: hyper::upgrade::Upgraded, backend: hyper::upgrade::Upgraded) {
    let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
    match tokio::io::copy_bidirectional(&mut client, &mut backend).await {
        Ok((sent, received)) => tracing::debug!(sent, received, "stream ended"),
        Err(error) => tracing::debug!(%error, "stream ended"),
    }
}

/// What a backend says instead of upgrading.
fn refused_upgrade(answer: Response<Incoming>) -> Result<Response<Body>, StatusError> {
    let code = answer.status();
    if code.as_u16() < 400 {
        return Err(StatusError::internal(format!(
            "invalid upgrade response: status code {}",
            code.as_u16()
        )));
    }
    let (mut head, body) = answer.into_parts();
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = code;
    *response.headers_mut() = head.headers;
    Ok(response)
}

fn message(
    parts: &http::request::Parts,
    route: &Route,
    body: Body,
) -> Result<Request<Body>, StatusError> {
    let mut message = Request::builder()
        .method(parts.method.clone())
        .uri(&route.path)
        .body(body)
        .map_err(StatusError::internal)?;
    let host = HeaderValue::from_str(&route.target.authority()).map_err(StatusError::internal)?;
    let headers = message.headers_mut();
    *headers = parts.headers.clone();
    headers.insert(HOST, host);
    Ok(message)
}

/// Sends a request.
///
/// # Errors
/// Why there is no answer, in Go's words.
async fn send(route: &Route, message: Request<Body>) -> Result<Response<Incoming>, String> {
    let mut sender = route.target.dial().await?;
    let answer = sender.send_request(message).await;
    answer.map_err(|error| {
        if error.is_incomplete_message() {
            return "EOF".to_owned();
        }
        error.to_string()
    })
}

/// An answer that does not lead elsewhere: a target that redirects could make the API server ask anyone anything.
fn unredirected(answer: Response<Incoming>) -> Result<Response<Incoming>, StatusError> {
    if !answer.status().is_redirection() {
        return Ok(answer);
    }
    let place = answer.headers().get(LOCATION);
    tracing::warn!(?place, "redirect refused");
    let why = "the backend attempted to redirect this request, which is not permitted";
    Err(StatusError::new(502, "", why))
}
