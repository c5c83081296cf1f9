//! The server: from a request to an answer, whoever asks and however it came.

mod answer;
mod bounded;
mod marks;
mod seat;
mod service;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use access::flow::seats::Refusal;
use axum::body::Body;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use kinds::Kind;
use kinds::strategy::{Operation, User};
use meta::Gvr;
use tokio::sync::Semaphore;

use crate::audit::Recording;
use crate::cluster::{Cluster, Parsed};
use crate::config::Config;
use crate::discovery::Discovery;
use crate::flow_control::{FlowControl, Permit};
use crate::form::refused_in;
use crate::heavy::Heavy;
use crate::held::{Kept, Streamed};
use crate::limits::Class;
use crate::metrics::{Asked, Metrics};
use crate::options::Query;
use crate::policy::{FlowMark, PolicyCache};
use crate::request::RequestInfo;
use crate::respond::{LongRunning, TurnedAway};
use crate::room::{Room, Share};
use crate::turn::{Turn, Turns};
use crate::{compress, held, limits, respond};
use marks::{audit_id, mark, sized};
use service::InProcess;

/// The sender of a request that comes from inside the process, as a request extension.
#[derive(Clone, Debug)]
pub struct Identity(pub User);

/// A handle to the server; cheap to clone.
#[derive(Clone)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    policy: PolicyCache,
    parsed: Parsed,
    discovery: Discovery,
    /// One for each watch and stream.
    long_running: Arc<Semaphore>,
    flow_control: FlowControl,
    heavy: Heavy,
    room: Room,
    /// For what changes bring, and what they change.
    changes: Room,
    metrics: Metrics,
    started: Timestamp,
    turns: Turns,
}

/// What is learnt of a request on the way to its answer.
#[derive(Default)]
struct Learnt {
    /// The name of its sender.
    user: OnceLock<String>,
    flow: OnceLock<FlowMark>,
    /// The seats that it has until it is answered, or why it has none.
    seat: OnceLock<Permit>,
    refusal: OnceLock<Refusal>,
    /// What it takes for what it brings and changes.
    room: OnceLock<Share>,
    audit: Recording,
}

impl ApiServer {
    /// A server of this configuration; it does nothing until it is asked.
    pub fn new(config: Config) -> Self {
        let limits = config.limits;
        let inner = Inner {
            discovery: Discovery::new(&config.registry, &config.address),
            long_running: Arc::new(Semaphore::new(limits.long_running_max)),
            flow_control: FlowControl::new(limits.reads_max.saturating_add(limits.writes_max)),
            heavy: Heavy::new(&limits),
            room: Room::new(limits.answer_bytes_max),
            changes: Room::new(limits.answer_bytes_max),
            metrics: Metrics::new(&config.address),
            started: (config.clock)(),
            config,
            policy: PolicyCache::default(),
            parsed: Parsed::default(),
            turns: Turns::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What the server is made of.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Since when it is there.
    pub(crate) fn started(&self) -> Timestamp {
        self.inner.started
    }

    pub(crate) fn policy(&self) -> Arc<access::Policy> {
        self.inner.policy.get(&self.cluster())
    }

    /// The cluster as decisions read it.
    pub(crate) fn cluster(&self) -> Cluster<'_> {
        Cluster::new(self.config().store.as_ref(), &self.inner.parsed)
    }

    pub(crate) fn discovery(&self) -> &Discovery {
        &self.inner.discovery
    }

    /// Where large work takes its turn.
    pub(crate) fn heavy(&self) -> &Heavy {
        &self.inner.heavy
    }

    /// The room that large answers take.
    pub(crate) fn room(&self) -> &Room {
        &self.inner.room
    }

    /// The metrics as text.
    pub(crate) fn scrape(&self) -> String {
        let store = self.config().store.as_ref();
        let others = &self.config().metrics;
        let metrics = self.metrics();
        metrics.see_services(&self.cluster());
        metrics.flow_control.see(&self.inner.flow_control.state());
        metrics.render(store, others)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn committed(&self, resource: &str) {
        if self.inner.policy.committed(resource) {
            // Whoever waits may have a seat by what was written, whether or not anybody asks for one later.
            self.flows();
        }
    }

    /// The turn to write; `None` where none is needed.
    pub(crate) async fn turn(
        &self,
        kind: &Kind,
        info: &RequestInfo,
        operation: Operation,
    ) -> Option<Turn> {
        let cluster = self.cluster();
        self.inner.turns.take(&cluster, kind, info, operation).await
    }

    /// A service that takes requests from within the process; each carries an [`Identity`].
    pub fn in_process(&self) -> InProcess {
        InProcess {
            server: self.clone(),
        }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let audit_id = audit_id(&parts.headers);
        let query = Query::read(parts.uri.query().unwrap_or_default());
        let info = RequestInfo::read(&parts.method, parts.uri.path(), query.flag("watch"));
        let asked = self.asked(&info, &parts, &query);
        let reads_gzip = compress::accepts(&parts.headers);
        let form = refused_in(&query, &parts.headers);
        let mut learnt = Learnt {
            audit: Recording::new(self, &parts, audit_id.as_bytes()),
            ..Learnt::default()
        };
        let bounded = self.bounded(parts, body, query, &info, asked.as_ref(), &learnt);
        let response = if learnt.audit.is_on() {
            learnt.audit.watch_over(Box::pin(bounded)).await
        } else {
            bounded.await
        };
        let mut response = response.unwrap_or_else(|error| respond::refusal(&error, &form));
        let class = limits::class(&info.verb, &info.subresource);
        if class == Class::Write
            && !held::is_small(&response)
            && let Some(seat) = learnt.seat.take()
        {
            let kept = Kept::Write(Arc::new((seat, learnt.room.take())));
            response.extensions_mut().insert(kept);
        }
        let is_long = class == Class::LongRunning;
        if !is_long {
            response = self.kept(response, &learnt);
        }
        response = learnt.audit.answered(&info, is_long, response).await;
        if is_long {
            response.extensions_mut().insert(LongRunning);
        } else {
            response = self.held(response, reads_gzip).await;
        }
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            mark(response.headers_mut(), audit_id, learnt.flow.into_inner());
        }
        let code = response.status().as_u16();
        let requests = &self.inner.metrics.requests;
        if let (Some(_), Some(asked)) = (learnt.refusal.get(), &asked) {
            requests.terminated(asked, code);
        }
        let is_turned_away = response.extensions_mut().remove::<TurnedAway>().is_some();
        let asked = asked.filter(|_| !is_turned_away);
        match asked.and_then(|asked| requests.observe(asked, code, started.elapsed())) {
            Some(size) => sized(response, size),
            None => response,
        }
    }

    /// A complete answer with the room that it takes; a refusal when too much waits already.
    fn kept(&self, mut response: Response<Body>, learnt: &Learnt) -> Response<Body> {
        if learnt.audit.takes_bodies() {
            response.extensions_mut().remove::<Streamed>();
        }
        let user = learnt.user.get().map_or("", String::as_str);
        held::kept(response, self.room(), user).unwrap_or_else(respond::too_many)
    }

    /// A complete answer as it waits to be read.
    async fn held(&self, mut response: Response<Body>, reads_gzip: bool) -> Response<Body> {
        if reads_gzip {
            response = compress::gzip(response).await;
        }
        let longest = Duration::from_secs(self.config().limits.request_seconds);
        held::held(response, longest)
    }

    /// A request as metrics name it: names that are not served would make a series each.
    ///
    /// Upstream counts in the handlers of what it serves, so that nothing else is counted.
    fn asked(&self, info: &RequestInfo, parts: &Parts, query: &Query) -> Option<Asked> {
        if !info.is_resource {
            return Asked::fixed(info, &parts.headers, query);
        }
        let gvr = Gvr::new(&info.group, &info.version, &info.resource);
        let kind = self.config().registry.resource(&gvr);
        let kind = kind.filter(|kind| {
            info.subresource.is_empty() || kind.subresource(&info.subresource).is_some()
        })?;
        let is_deprecated = kind.deprecation.is_some();
        let (method, headers) = (&parts.method, &parts.headers);
        Some(Asked::read(info, method, headers, query, is_deprecated))
    }
}
