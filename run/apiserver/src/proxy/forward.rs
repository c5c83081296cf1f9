//! Carries a request to its target and the answer back; after an upgrade, bytes both ways.

use axum::body::Body;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION,
};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meta::StatusError;
use meta::status::Details;

use super::{Connect, Route, Style, headers, locate};
use crate::audit::{Record, Remote};
use crate::request::{RequestInfo, mentions};
use crate::socket::Socket;

/// Most bytes of a backend's refusal that are read. Source: `response_checker.go` `maxReadLength`.
const REFUSAL_BYTES_MAX: usize = 50_000;

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
    if let Some(place) = completed(&request) {
        return Ok(moved(place));
    }
    let asked = host(&request.parts);
    let prefix = locate::around_proxy(&request).0.to_owned();
    let (mut parts, body) = (request.parts, request.body);
    headers::strip_hop_by_hop(&mut parts.headers);
    headers::strip_identity(&mut parts.headers);
    let client = Remote::of(&parts);
    headers::add_forwarded_for(&mut parts.headers, client);
    let path = route.path.split('?').next().unwrap_or_default();
    if let Ok(uri) = HeaderValue::from_str(&format!("{prefix}{path}")) {
        parts.headers.insert(headers::FORWARDED_URI, uri);
    }
    let message = message(&parts, &route, body)?;
    // Source: `util/proxy/transport.go`.
    let answer = send(&route, message).await.map_err(|why| {
        let why = format!("error trying to reach service: {why}");
        StatusError::new(503, "ServiceUnavailable", why)
    })?;
    let (mut head, body) = answer.into_parts();
    headers::strip_hop_by_hop(&mut head.headers);
    headers::strip_cors(&mut head.headers);
    let place = head.headers.get(LOCATION);
    if let Some(place) = place.and_then(|place| place.to_str().ok()) {
        let asked = asked.unwrap_or_default();
        let place = headers::relocated(place, &prefix, &route.target.authority(), &asked);
        let place = HeaderValue::from_str(&place).map_err(StatusError::internal)?;
        head.headers.insert(LOCATION, place);
    }
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}

/// Where to ask for the root of a target, so that what it names relatively is found.
///
/// Source: `proxyRedirectsforRootPath`.
fn completed(request: &Connect<'_>) -> Option<String> {
    let (path, rest) = locate::around_proxy(request);
    let is_read = matches!(request.parts.method, Method::GET | Method::HEAD);
    let query = request.parts.uri.query();
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    (rest.is_empty() && is_read).then(|| format!("{path}/{query}"))
}

fn moved(place: String) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    let nothing = HeaderValue::from_static("0");
    response.headers_mut().insert(CONTENT_LENGTH, nothing);
    response
}

/// The host that the client asked, as it named it.
fn host(parts: &Parts) -> Option<String> {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let named = named.or_else(|| parts.uri.authority().map(Authority::as_str));
    named.map(str::to_owned)
}

/// Carries a request that becomes a stream of bytes both ways.
async fn upgrade(request: Connect<'_>, route: Route) -> Result<Response<Body>, StatusError> {
    let mut parts = request.parts;
    let completion = request.audit.map(Record::completion);
    headers::strip_identity(&mut parts.headers);
    let client = Remote::of(&parts);
    headers::add_forwarded_for(&mut parts.headers, client);
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
    headers::strip_hop_by_hop(&mut head.headers);
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
    // What is behind a proxy may compare where it is asked with where a page came from.
    let asked = host(parts).filter(|_| route.style == Style::Proxy);
    let host = asked.unwrap_or_else(|| route.target.authority());
    let host = HeaderValue::from_str(&host).map_err(StatusError::internal)?;
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
