//! HTTP probes and hooks.
//!
//! Source: `pkg/probe/http/http.go`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Most of an answer's body that is read, in bytes.
///
/// Source: `pkg/probe/http/http.go`, `maxRespBodyLength`.
const BODY_BYTES_MAX: usize = 10 << 10;
/// Most redirects followed.
const REDIRECTS_MAX: u32 = 10;
/// How the agent names itself.
const USER_AGENT: &str = "kube-probe/1.36";

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

impl Target {
    /// The target of an action; `ip` stands in where it names no host.
    pub(crate) fn of(get: &HTTPGetAction, ip: &str, port: u16) -> Self {
        let host = get.host.clone().filter(|host| !host.is_empty());
        let path = get.path.clone().unwrap_or_default();
        let headers = get.http_headers.iter().flatten();
        Self {
            is_tls: get
                .scheme
                .as_deref()
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: host.unwrap_or_else(|| ip.to_owned()),
            port,
            path: if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            },
            headers: headers
                .map(|one| (one.name.clone(), one.value.clone()))
                .collect(),
        }
    }

    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The target as a URL.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    /// Where a redirect leads; `None` when it leaves the host, which counts as an answer.
    fn redirected(&self, location: &str) -> Option<Self> {
        let mut next = self.clone();
        if location.starts_with('/') && !location.starts_with("//") {
            location.clone_into(&mut next.path);
            return Some(next);
        }
        if !location.contains("//") {
            let path = self.path.split('?').next().unwrap_or_default();
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            next.path = format!("{directory}/{location}");
            return Some(next);
        }
        let uri: http::Uri = location.parse().ok()?;
        if uri.host()? != self.host {
            return None;
        }
        next.is_tls = uri.scheme_str() == Some("https");
        next.port = uri.port_u16().unwrap_or(if next.is_tls { 443 } else { 80 });
        next.path = uri
            .path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string);
        Some(next)
    }
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The beginning of the body.
    body: String,
    /// Whether it leads elsewhere, where nobody followed.
    is_redirect: bool,
}

impl Answer {
    /// What people should be told though the answer counts as good. Source: `DoHTTPProbe`.
    pub(crate) fn warning(self) -> Option<String> {
        let Self { body, is_redirect } = self;
        is_redirect.then(|| format!("Probe terminated redirects, Response body: {body}"))
    }
}

/// Asks, and follows redirects on the same host.
///
/// # Errors
/// No answer, or one outside of 200 to 399; in the words upstream's events use.
pub(crate) async fn get(target: &Target) -> Result<Answer, String> {
    let mut target = target.clone();
    for _ in 0..=REDIRECTS_MAX {
        let answer = ask(&target)
            .await
            .map_err(|error| format!("Get {:?}: {error}", target.url()))?;
        let status = answer.status();
        let location = answer
            .headers()
            .get(header::LOCATION)
            .and_then(|value| value.to_str().ok());
        let next = location
            .filter(|_| status.is_redirection())
            .and_then(|to| target.redirected(to));
        if let Some(next) = next {
            target = next;
            continue;
        }
        if status.is_success() || status.is_redirection() {
            let body = Limited::new(answer.into_body(), BODY_BYTES_MAX)
                .collect()
                .await;
            let bytes = body
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            return Ok(Answer {
                body: String::from_utf8_lossy(&bytes).into_owned(),
                is_redirect: status.is_redirection(),
            });
        }
        return Err(format!(
            "HTTP probe failed with statuscode: {}",
            status.as_u16()
        ));
    }
    Err(format!(
        "Get {:?}: stopped after {REDIRECTS_MAX} redirects",
        target.url()
    ))
}

async fn ask(target: &Target) -> Result<Response<Incoming>, String> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await;
    let stream = stream.map_err(|error| {
        format!(
            "dial tcp {}: connect: {}",
            target.authority(),
            super::errno_words(&error)
        )
    })?;
    if !target.is_tls {
        return exchange(stream, target).await;
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(any_certificate()?));
    let stream = connector
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    exchange(stream, target).await
}

async fn exchange<S>(stream: S, target: &Target) -> Result<Response<Incoming>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::trace!(error = &error as &dyn std::error::Error, "probe connection");
        }
    });
    let mut request = Request::get(target.path.as_str());
    let is_set = |name: &str| {
        target
            .headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    };
    if !is_set("host") {
        request = request.header(header::HOST, target.authority());
    }
    if !is_set("user-agent") {
        request = request.header(header::USER_AGENT, USER_AGENT);
    }
    if !is_set("accept") {
        request = request.header(header::ACCEPT, "*/*");
    }
    for (name, value) in target.headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(name, value);
    }
    let request = request
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())
}

/// Probes ask whether something answers, not who: no certificate is refused.
fn any_certificate() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let verifier = Arc::new(AnyCertificate { schemes });
    Ok(config
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

#[derive(Debug)]
struct AnyCertificate {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing;

    use super::*;

    async fn served() -> u16 {
        let app = Router::new()
            .route("/ok", routing::get(|| async { "fine" }))
            .route(
                "/bad",
                routing::get(|| async { http::StatusCode::INTERNAL_SERVER_ERROR }),
            )
            .route("/here", routing::get(|| async { Redirect::to("/bad") }))
            .route("/near", routing::get(|| async { Redirect::to("bad") }))
            .route(
                "/away",
                routing::get(|| async { Redirect::to("http://example.invalid/") }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        port
    }

    async fn asked(port: u16, path: &str) -> Result<Answer, String> {
        let get_action = HTTPGetAction {
            path: Some(path.to_owned()),
            ..HTTPGetAction::default()
        };
        get(&Target::of(&get_action, "127.0.0.1", port)).await
    }

    #[tokio::test]
    async fn answers_below_400_are_good() {
        let port = served().await;
        assert_eq!(asked(port, "ok").await.unwrap().body, "fine");
        assert_eq!(
            asked(port, "/bad").await.unwrap_err(),
            "HTTP probe failed with statuscode: 500"
        );
    }

    #[tokio::test]
    async fn redirects_are_followed_on_the_same_host_only() {
        let port = served().await;
        assert!(asked(port, "/here").await.is_err());
        assert!(asked(port, "/near").await.is_err());
        assert_eq!(asked(port, "/ok").await.unwrap().warning(), None);
        assert_eq!(
            asked(port, "/away").await.unwrap().warning().as_deref(),
            Some("Probe terminated redirects, Response body: ")
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_told_in_upstreams_words() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(
            asked(port, "/").await.unwrap_err(),
            format!(
                "Get \"http://127.0.0.1:{port}/\": dial tcp 127.0.0.1:{port}: connect: connection refused"
            )
        );
    }
}
