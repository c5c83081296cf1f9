//! An OIDC issuer on loopback, over HTTPS: what it answers is set, and how often it is asked is counted.

mod signer;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

pub use signer::Signer;

/// A running issuer; it ends with this.
pub struct Issuer {
    /// Its URL.
    pub url: String,
    /// Who signed its certificate (PEM): it itself.
    pub authority: String,
    told: Arc<Told>,
    listening: AbortHandle,
}

/// What it tells, and how often it did.
#[derive(Default)]
struct Told {
    answer: Mutex<Answer>,
    keys_asked: AtomicUsize,
}

/// How an issuer answers who asks for its keys.
#[derive(Clone)]
pub enum Answer {
    /// With this text.
    Text(String),
    /// With an error, to the discovery too.
    Fails,
    /// Never, while the connection stays open.
    Hangs,
}

impl Default for Answer {
    fn default() -> Self {
        Self::Text(r#"{"keys": []}"#.to_owned())
    }
}

impl Answer {
    /// The keys of signers.
    pub fn keys(signers: &[&Signer]) -> Self {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        Self::Text(json!({ "keys": keys }).to_string())
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Issuer {
    /// An issuer that answers so.
    ///
    /// # Errors
    /// There is no port, or the certificate cannot be made.
    pub async fn start(answer: Answer) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let key = rcgen::KeyPair::generate()?;
        let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        let certificate = params.self_signed(&key)?;
        let private = PrivateKeyDer::try_from(key.serialize_der());
        let private = private.map_err(anyhow::Error::msg)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)?;
        let told = Arc::new(Told::default());
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listening = tokio::spawn(listen(listener, acceptor, url.clone(), Arc::clone(&told)));
        let issuer = Self {
            url,
            authority: certificate.pem(),
            told,
            listening: listening.abort_handle(),
        };
        issuer.answer(answer);
        Ok(issuer)
    }

    /// Answers so from now on.
    pub fn answer(&self, answer: Answer) {
        let told = self.told.answer.lock();
        *told.unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// How often its keys were asked for.
    pub fn keys_asked(&self) -> usize {
        self.told.keys_asked.load(Ordering::SeqCst)
    }
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, url: String, told: Arc<Told>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, url, told) = (acceptor.clone(), url.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            // Who does not trust the certificate goes away: that is what tests look for, at the other end.
            serve(stream, acceptor, &url, &told).await.ok();
        });
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, url: &str, told: &Told) -> Result<()> {
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(told.response(request.uri().path(), url).await)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    connection.await.context("cannot serve a connection")
}

impl Told {
    async fn response(&self, path: &str, url: &str) -> Response<Full<Bytes>> {
        let answer = self.answer.lock();
        let answer = answer.unwrap_or_else(PoisonError::into_inner).clone();
        let asks_for_keys = path == "/keys";
        if asks_for_keys {
            self.keys_asked.fetch_add(1, Ordering::SeqCst);
        }
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let text = match answer {
            Answer::Text(keys) if asks_for_keys => keys,
            Answer::Hangs if asks_for_keys => std::future::pending().await,
            Answer::Text(_) | Answer::Hangs if path == "/.well-known/openid-configuration" => {
                discovery.to_string()
            }
            _ => {
                let mut response = Response::default();
                *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                return response;
            }
        };
        Response::new(Full::from(text))
    }
}
