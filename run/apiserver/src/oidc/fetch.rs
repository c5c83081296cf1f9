//! Where an issuer's keys are fetched: its discovery document says where, over HTTPS alone. Redirections are not followed.
//!
//! Source: go-oidc `NewProvider` and `remoteKeySet`.

use std::sync::Arc;

use access::authn::oidc::{Key, read_keys};
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use meta::field::quote;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use thiserror::Error;

use super::{FetchLimits, OidcError};

/// Where the discovery document is, below the issuer's URL.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there are no newer keys.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error("cannot get {url}")]
    Get {
        url: Uri,
        #[source]
        source: Cause,
    },
    #[error("{url} did not answer within {seconds} s")]
    TooLate { url: Uri, seconds: u64 },
    #[error("{url} answered {status}")]
    Status { url: Uri, status: StatusCode },
    #[error("the discovery document cannot be used: {0}")]
    Discovery(String),
    #[error("the keys at {url} cannot be used: {why}")]
    Keys { url: Uri, why: String },
}

/// An issuer as it is asked.
pub(super) struct Source {
    /// As its document must name it.
    issuer: String,
    discovery: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    limits: FetchLimits,
}

impl Source {
    pub(super) fn new(
        issuer: &str,
        authority: Option<&str>,
        limits: FetchLimits,
    ) -> Result<Self, OidcError> {
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let discovery = format!("{base}{WELL_KNOWN}");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(OidcError::Tls)?
            .with_root_certificates(roots(authority)?)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .build();
        Ok(Self {
            issuer: issuer.to_owned(),
            discovery: discovery.parse().map_err(OidcError::Url)?,
            // Connections are not kept: the next fetch is far away.
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
            limits,
        })
    }

    /// The issuer's keys, from `keys_at`, which is looked up once.
    pub(super) async fn keys(&self, keys_at: &mut Option<Uri>) -> Result<Vec<Key>, FetchError> {
        let url = match keys_at {
            Some(url) => url.clone(),
            None => keys_at.insert(self.discover().await?).clone(),
        };
        let text = self.get(&url).await?;
        read_keys(&text).map_err(|why| FetchError::Keys { url, why })
    }

    async fn discover(&self) -> Result<Uri, FetchError> {
        let text = self.get(&self.discovery).await?;
        let document: Value = serde_json::from_slice(&text)
            .map_err(|error| FetchError::Discovery(error.to_string()))?;
        let member = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let issuer = member("issuer");
        if issuer != self.issuer {
            return Err(FetchError::Discovery(format!(
                "issuer did not match the issuer returned by provider, expected {} got {}",
                quote(&self.issuer),
                quote(issuer)
            )));
        }
        let keys_at = member("jwks_uri");
        keys_at
            .parse()
            .map_err(|error| FetchError::Discovery(format!("jwks_uri {}: {error}", quote(keys_at))))
    }

    async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let failed = |source: Cause| FetchError::Get {
            url: url.clone(),
            source,
        };
        let answer = async {
            let response = self.client.get(url.clone()).await;
            let response = response.map_err(|error| failed(error.into()))?;
            let status = response.status();
            if status != StatusCode::OK {
                let url = url.clone();
                return Err(FetchError::Status { url, status });
            }
            let body = Limited::new(response.into_body(), self.limits.bytes_max);
            Ok(body.collect().await.map_err(failed)?.to_bytes())
        };
        let answered = tokio::time::timeout(self.limits.answer, answer).await;
        answered.unwrap_or_else(|_| {
            Err(FetchError::TooLate {
                url: url.clone(),
                seconds: self.limits.answer.as_secs(),
            })
        })
    }
}

/// Who may have signed the issuer's certificate.
fn roots(authority: Option<&str>) -> Result<RootCertStore, OidcError> {
    let mut roots = RootCertStore::empty();
    let Some(authority) = authority else {
        let found = rustls_native_certs::load_native_certs();
        for error in found.errors {
            tracing::warn!(%error, "cannot read all authorities that this machine trusts");
        }
        roots.add_parsable_certificates(found.certs);
        return Ok(roots);
    };
    let unusable = |why: String| OidcError::Authority(why);
    for root in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        let root = root.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(root)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("it has no certificate".to_owned()));
    }
    Ok(roots)
}
