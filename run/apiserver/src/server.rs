//! The server: from a request to an answer, whoever asks and however it came.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use kinds::Kind;
use kinds::strategy::{Operation, User};
use meta::selector::FieldSelector;
use meta::{Gvr, StatusError};
use wire::media::Format;

use crate::call::Call;
use crate::cluster::{Cluster, Parsed};
use crate::config::Config;
use crate::discovery::Discovery;
use crate::form::{accept, indented, negotiate, refusal_format};
use crate::heavy::Heavy;
use crate::held::Kept;
use crate::limits::{Class, InFlight};
use crate::metrics::{Asked, Metrics, Sized};
use crate::options::Query;
use crate::policy::{FlowMark, PolicyCache};
use crate::request::RequestInfo;
use crate::respond::TurnedAway;
use crate::room::Room;
use crate::socket::Socket;
use crate::turn::{Turn, Turns};
use crate::{auth, compress, fixed, health, held, limits, proxy, respond, verbs};

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
    in_flight: InFlight,
    heavy: Heavy,
    room: Room,
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
}

impl ApiServer {
    /// A server of this configuration; it does nothing until it is asked.
    pub fn new(config: Config) -> Self {
        let limits = config.limits;
        let inner = Inner {
            discovery: Discovery::new(&config.registry, &config.address),
            in_flight: InFlight::new(limits.reads_max, limits.writes_max, limits.long_running_max),
            heavy: Heavy::new(&limits),
            room: Room::new(limits.answer_bytes_max),
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
        metrics.render(store, &self.inner.in_flight, others)
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) fn committed(&self, resource: &str) {
        self.inner.policy.committed(resource);
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
        let audit_id = parts.headers.get(AUDIT_ID).cloned();
        let query = Query::read(parts.uri.query().unwrap_or_default());
        let info = RequestInfo::read(&parts.method, parts.uri.path(), query.flag("watch"));
        let asked = self.asked(&info, &parts, &query);
        let reads_gzip = compress::accepts(&parts.headers);
        let refused_in = refusal_format(&info, &parts.headers);
        let learnt = Learnt::default();
        let bounded = self.bounded(parts, body, query, &info, asked.as_ref(), &learnt);
        let response = bounded.await;
        let mut response = response.unwrap_or_else(|error| respond::refusal(&error, refused_in));
        if limits::class(&info.verb, &info.subresource) != Class::LongRunning {
            response = self.held(response, learnt.user.get(), reads_gzip).await;
        }
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            mark(response.headers_mut(), audit_id, learnt.flow.into_inner());
        }
        let code = response.status().as_u16();
        let requests = &self.inner.metrics.requests;
        let is_turned_away = response.extensions_mut().remove::<TurnedAway>().is_some();
        let asked = asked.filter(|_| !is_turned_away);
        match asked.and_then(|asked| requests.observe(asked, code, started.elapsed())) {
            Some(size) => sized(response, size),
            None => response,
        }
    }

    /// A complete answer as it waits to be read; a refusal when too much waits already.
    async fn held(
        &self,
        response: Response<Body>,
        user: Option<&String>,
        reads_gzip: bool,
    ) -> Response<Body> {
        let user = user.map_or("", String::as_str);
        let Some(mut response) = held::kept(response, self.room(), user) else {
            return respond::too_many();
        };
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

    /// Answers a request when not too many run already.
    async fn bounded(
        &self,
        parts: Parts,
        body: Body,
        query: Query,
        info: &RequestInfo,
        asked: Option<&Asked>,
        learnt: &Learnt,
    ) -> Result<Response<Body>, StatusError> {
        if !info.is_resource {
            // Read before anybody is asked for, and kept by all that takes no time.
            query.timeout()?;
            let permit = self.inner.in_flight.enter(Class::Read);
            if permit.is_none() && !health::is_asked(parts.uri.path()) {
                return Ok(respond::too_many());
            }
            return match self.admit(&parts, &query, info, learnt).await {
                Ok(_) => fixed::answer(self, &parts).await,
                Err(error) => Ok(respond::turned_away(&error, Format::Json)),
            };
        }
        let class = limits::class(&info.verb, &info.subresource);
        let mut longest = Duration::from_secs(self.config().limits.request_seconds);
        if class != Class::LongRunning {
            longest = query.timeout()?.unwrap_or(longest).min(longest);
        }
        let requests = &self.inner.metrics.requests;
        let Some(permit) = self.inner.in_flight.enter(class) else {
            if let Some(asked) = asked {
                requests.terminated(asked, StatusCode::TOO_MANY_REQUESTS.as_u16());
            }
            return Ok(respond::too_many());
        };
        let socket = (info.verb == "watch").then(|| Socket::wanted(&parts));
        let answering = self.answer(parts, body, query, info.clone(), learnt);
        if class != Class::LongRunning {
            let answered = tokio::time::timeout(longest, answering).await;
            let mut answered = answered.unwrap_or_else(|_| {
                if let Some(asked) = asked {
                    requests.terminated(asked, StatusCode::GATEWAY_TIMEOUT.as_u16());
                }
                Err(out_of_time())
            })?;
            if class == Class::Write && !held::is_small(&answered) {
                let kept = Kept::Write(Arc::new(permit));
                answered.extensions_mut().insert(kept);
            }
            return Ok(answered);
        }
        let response = answering.await?;
        // What is long-running lasts until its body ends.
        let open = (permit, asked.map(|asked| requests.long_running(asked)));
        let response = response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _held = &open;
                frame
            }))
        });
        Ok(match socket.flatten() {
            Some(socket) => socket.carry(response),
            None => response,
        })
    }

    /// Who sends a request, after impersonation, when they may. Says under which flow it falls, also when they may not.
    async fn admit(
        &self,
        parts: &Parts,
        query: &Query,
        info: &RequestInfo,
        learnt: &Learnt,
    ) -> Result<User, StatusError> {
        let access = &self.inner.metrics.access;
        let begun = Instant::now();
        let caller = auth::authenticate(self, parts).await;
        access.authenticated(&caller, begun.elapsed());
        let caller = caller?;
        let mut attributes = auth::attributes(&caller, info);
        // Source: apiserver `RequestInfoFactory`, which takes a name from the selector of these two alone.
        if matches!(info.verb.as_str(), "list" | "watch") && attributes.name.is_empty() {
            // A selector that cannot be read is refused later; until then it narrows nothing.
            let fields = FieldSelector::parse(query.text("fieldSelector"));
            attributes.fields = fields.unwrap_or_default();
            let name = attributes.fields.exact("metadata.name");
            attributes.name = name.unwrap_or_default().to_owned();
        }
        attributes.user = auth::impersonate(self, &attributes, &parts.headers)?;
        if info.verb == "watch"
            || limits::class(&info.verb, &info.subresource) != Class::LongRunning
        {
            let flows = self.inner.policy.flows(&self.cluster());
            flows.mark(&attributes).map(|mark| learnt.flow.set(mark));
        }
        let begun = Instant::now();
        let decision = auth::decide(self, &attributes);
        access.authorized(&decision, begun.elapsed());
        auth::require(decision, &attributes)?;
        learnt.user.get_or_init(|| attributes.user.name.clone());
        Ok(attributes.user)
    }

    async fn answer(
        &self,
        mut parts: Parts,
        body: Body,
        query: Query,
        info: RequestInfo,
        learnt: &Learnt,
    ) -> Result<Response<Body>, StatusError> {
        let user = match self.admit(&parts, &query, &info, learnt).await {
            Ok(user) => user,
            Err(error) => {
                let format = refusal_format(&info, &parts.headers);
                return Ok(respond::turned_away(&error, format));
            }
        };
        auth::hide_token(&mut parts.headers);
        let path = parts.uri.path();
        if path.starts_with("//") {
            return Ok(respond::no_page());
        }
        let kind = match self.kind(&info, &user) {
            Err(error) if error.code() == 404 && !self.serves_group(path) => {
                return Ok(respond::no_page());
            }
            kind => kind?,
        };
        let is_carried = proxy::is_carried(&kind, &info.subresource);
        // A log is carried as well, but what asks for one is an ordinary route.
        let is_head = parts.method == Method::HEAD && (!is_carried || info.subresource == "log");
        if is_head || (info.verb == "watch" && parts.method != Method::GET) {
            return Err(StatusError::method_not_allowed());
        }
        if is_carried {
            let connect = proxy::Connect {
                server: self,
                info: &info,
                user: &user,
                query: &query,
                parts,
                body,
            };
            return proxy::connect(connect).await;
        }
        let answer = negotiate(accept(&parts.headers), &kind, &info)?;
        check_name(&info.name)?;
        let query = indented(query, &parts.headers);
        // What a read or a watch brings is not looked at, and so not kept.
        let body = if limits::class(&info.verb, &info.subresource) == Class::Write {
            let body = self.read(body).await?;
            self.inner.metrics.requests.read(&info, body.len());
            body
        } else {
            Bytes::new()
        };
        let call = Call {
            server: self.clone(),
            api_version: kind.api_version(),
            kind,
            info,
            user,
            query,
            headers: parts.headers,
            answer,
            body,
            now: (self.config().clock)(),
            refusal: Arc::default(),
        };
        verbs::run(call).await
    }

    /// The whole body of a request.
    async fn read(&self, body: Body) -> Result<Bytes, StatusError> {
        let limit = self.config().limits.body_bytes_max;
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|error| unreadable(error.as_ref(), limit))?;
        Ok(body.to_bytes())
    }

    /// Whether a path lies below a group that is served, whatever its version.
    pub(crate) fn serves_group(&self, path: &str) -> bool {
        let mut parts = path.split('/').skip(1);
        let group = match (parts.next(), parts.next()) {
            (Some("api"), Some(_)) => "",
            (Some("apis"), Some(group)) if parts.next().is_some() => group,
            _ => return false,
        };
        self.config()
            .registry
            .rows()
            .any(|kind| kind.group == group)
    }

    /// The row a request is for, when it serves the verb to that user.
    fn kind(&self, info: &RequestInfo, user: &User) -> Result<Arc<Kind>, StatusError> {
        let gvr = Gvr::new(&info.group, &info.version, &info.resource);
        let kind = self
            .config()
            .registry
            .resource(&gvr)
            .ok_or_else(StatusError::no_route)?;
        let verbs = if info.subresource.is_empty() {
            &kind.verbs
        } else {
            &kind
                .subresource(&info.subresource)
                .filter(|_| info.rest.is_empty() || proxy::is_carried(kind, &info.subresource))
                .ok_or_else(StatusError::no_route)?
                .verbs
        };
        // What is written encoded in a path is no slash for its route.
        if info.name.contains('/') {
            return Err(StatusError::no_route());
        }
        // The objects of all namespaces are read together, never written; a cluster-scoped kind is never in a namespace.
        let is_misplaced = if kind.is_namespaced() {
            let is_of_all = matches!(info.verb.as_str(), "list" | "watch");
            info.namespace.is_empty() && !(is_of_all && info.name.is_empty())
        } else {
            !info.namespace.is_empty() && info.resource != "namespaces"
        };
        let is_listed = kind.verbs.iter().any(|verb| verb == "list");
        if is_misplaced && info.name.is_empty() && kind.is_namespaced() && is_listed {
            return Err(StatusError::method_not_allowed());
        }
        if is_misplaced {
            return Err(StatusError::no_route());
        }
        // What is only posted has no paths of single objects.
        let is_posted = kind.verbs.iter().all(|verb| *verb == "create");
        if is_posted && !info.name.is_empty() && info.subresource.is_empty() {
            return Err(StatusError::no_route());
        }
        // A collection is not replaced or patched, and a name is not posted to.
        let is_aside = match info.verb.as_str() {
            "update" | "patch" => info.name.is_empty(),
            "create" => !info.name.is_empty() && info.subresource.is_empty(),
            _ => false,
        };
        let is_writer = kind.strategy.writer() == Some(user.name.as_str());
        if !is_aside && (is_writer || verbs.iter().any(|verb| *verb == info.verb)) {
            return Ok(Arc::clone(kind));
        }
        Err(StatusError::method_not_allowed())
    }
}

/// An answer whose size is noted once all of it was made.
fn sized(response: Response<Body>, mut size: Sized) -> Response<Body> {
    if let Some(bytes) = response.body().size_hint().exact() {
        size.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        return response;
    }
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            size.add(frame.data_ref().map_or(0, Bytes::len));
            frame
        }))
    })
}

/// Names a request in logs; a client may choose it. Source: apiserver `audit.HeaderAuditID`.
const AUDIT_ID: &str = "audit-id";

/// Names the FlowSchema that a request falls under, and its priority level. Source: api `flowcontrol/v1/types.go`.
const FLOW_SCHEMA: &str = "x-kubernetes-pf-flowschema-uid";
const PRIORITY_LEVEL: &str = "x-kubernetes-pf-prioritylevel-uid";

/// Headers of every answer that does not turn into something else.
///
/// Source: apiserver `filters/audit_init.go`, `filters/cachecontrol.go`, `server/filters/priority-and-fairness.go`.
fn mark(headers: &mut HeaderMap, audit_id: Option<HeaderValue>, flow: Option<FlowMark>) {
    if let Some(flow) = flow {
        headers.insert(FLOW_SCHEMA, flow.schema);
        headers.insert(PRIORITY_LEVEL, flow.level);
    }
    let audit_id = audit_id.or_else(|| {
        let made = uuid::Uuid::new_v4().to_string();
        HeaderValue::try_from(made).ok()
    });
    if let Some(audit_id) = audit_id {
        headers.insert(AUDIT_ID, audit_id);
    }
    let unsaid = headers.entry(http::header::CACHE_CONTROL);
    unsaid.or_insert(HeaderValue::from_static("no-cache, private"));
}

/// Refuses names that no object can have. Source: apiserver `registry/generic` `NamespaceKeyFunc`.
fn check_name(name: &str) -> Result<(), StatusError> {
    let wrong = meta::names::path_segment(name);
    if name.is_empty() || wrong.is_empty() {
        return Ok(());
    }
    let (quoted, why) = (meta::field::quote(name), wrong.join(";"));
    Err(StatusError::bad_request(format!(
        "Name parameter invalid: {quoted}: {why}"
    )))
}

/// Source: apiserver `server/filters/timeout.go`.
fn out_of_time() -> StatusError {
    let why = "Timeout: request did not complete within the allotted timeout";
    StatusError::new(504, "Timeout", why)
}

fn unreadable(error: &(dyn std::error::Error + 'static), limit: usize) -> StatusError {
    if error.downcast_ref::<LengthLimitError>().is_some() {
        return StatusError::too_large(format!("Request entity too large: limit is {limit}"));
    }
    StatusError::bad_request(format!("cannot read the request body: {error}"))
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl tower::Service<Request<Body>> for ApiServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<Body>) -> Answering {
        let server = self.clone();
        Box::pin(async move { Ok(server.handle(request).await) })
    }
}

/// Takes requests without a socket, whatever their body; a `kube::Client` can be built on it.
#[derive(Clone)]
pub struct InProcess {
    server: ApiServer,
}

impl<B> tower::Service<Request<B>> for InProcess
where
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: Request<B>) -> Answering {
        let server = self.server.clone();
        Box::pin(async move {
            let (begun, method) = (Instant::now(), request.method().clone());
            let response = server.handle(request.map(Body::new)).await;
            let clients = &server.metrics().clients;
            clients.answered(&method, response.status().as_u16(), begun.elapsed());
            Ok(response)
        })
    }
}
