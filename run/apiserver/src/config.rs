//! What an API server is made of. Facts such as limits and the clock are given, never assumed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kinds::Registry;
use kinds::strategy::Ranges;
use store::Store;

use crate::audit::Audit;
use crate::auth::TokenVerifier;
use crate::health::Check;
use crate::oidc::Oidc;
use crate::openapi::OpenApi;

/// Everything an API server needs.
#[derive(Clone)]
pub struct Config {
    /// Where objects are kept. Its index terms are those of [`crate::index`]: selections are found by them.
    pub store: Arc<dyn Store>,
    /// The kinds that are served.
    pub registry: Registry,
    /// Checks and signs service-account tokens.
    pub tokens: Arc<dyn TokenVerifier>,
    /// Tokens given on the command line, with their users.
    pub static_tokens: Vec<(String, kinds::strategy::User)>,
    /// An issuer elsewhere whose tokens are taken too; somebody else runs its [`Oidc::keep`].
    pub oidc: Option<Arc<Oidc>>,
    /// The time.
    pub clock: fn() -> Timestamp,
    /// From where cluster IPs and node ports are taken.
    pub ranges: Ranges,
    /// Where clients reach the server, as `host:port`; `/api` says so.
    pub address: String,
    /// How kubelets are spoken to: our client certificate and who signs theirs. `None` refuses logs, exec and the like.
    pub kubelet: Option<Arc<rustls::ClientConfig>>,
    /// Who makes the OpenAPI documents; `None` serves none.
    pub openapi: Option<Arc<dyn OpenApi>>,
    /// What `/healthz`, `/livez` and `/readyz` ask.
    pub checks: Vec<Check>,
    /// What others in this process count, served with what the server counts.
    pub metrics: Vec<Arc<scrape::Registry>>,
    /// Which requests are told of, and where; `None` tells of none.
    pub audit: Option<Arc<Audit>>,
    /// Flags that others read, by upstream's names and with their values as Go writes them: `/flagz` tells them.
    pub flags: BTreeMap<&'static str, String>,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of one API server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, in bytes. Source: apiserver `MaxRequestBodyBytes`.
    pub body_bytes_max: usize,
    /// Seats of requests that run at once, with [`Self::writes_max`] together: priority levels share them, whatever is
    /// asked for. Source: `--max-requests-inflight`.
    pub reads_max: usize,
    /// See [`Self::reads_max`]. Source: `--max-mutating-requests-inflight`.
    pub writes_max: usize,
    /// Longest time a request other than a watch or a stream may take, in seconds. Source: `--request-timeout`.
    pub request_seconds: u64,
    /// Bytes of large answers that are made, or wait to be read, at once, and as many of what large changes bring or
    /// change, until their answers are read; one user gets half of either.
    pub answer_bytes_max: usize,
    /// Watches and streams, at once.
    pub long_running_max: usize,
    /// Connections on which nothing was asked yet, in or after their handshake: then the oldest gives way.
    pub newcomers_max: usize,
    /// Tries of a write that meets a conflict it may settle itself.
    pub write_tries_max: usize,
    /// Longest wait for a revision that has not happened yet, in milliseconds. Source: apiserver's 3 s.
    pub revision_wait_ms: u64,
    /// Default length of a watch, in seconds; half of it is added at random. Source: `--min-request-timeout`.
    pub watch_seconds: u64,
    /// Time between two bookmarks, in seconds. Source: apiserver cacher, one minute.
    pub bookmark_seconds: u64,
}

impl Limits {
    /// Upstream's bounds.
    pub const fn upstream() -> Self {
        Self {
            body_bytes_max: 3 << 20,
            reads_max: 400,
            writes_max: 200,
            request_seconds: 60,
            answer_bytes_max: 256 << 20,
            long_running_max: 10_000,
            newcomers_max: 4_096,
            write_tries_max: 64,
            revision_wait_ms: 3_000,
            watch_seconds: 1_800,
            bookmark_seconds: 60,
        }
    }
}
