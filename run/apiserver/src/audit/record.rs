//! What is recorded of one request on its way: it goes with the request, and is told at every stage.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use access::audit::{Audited, Event, Level, Stage, source_ips};
use access::{Attributes, Decision};
use futures::FutureExt;
use http::HeaderMap;
use http::header::USER_AGENT;
use http::request::Parts;
use jiff::Timestamp;
use kinds::strategy::User;
use meta::{Object, Status, StatusError};
use tracing::error;

use super::{Audit, Lost, Mode, answer, settled};
use crate::auth;
use crate::request::RequestInfo;
use crate::server::ApiServer;

/// The address of a connection's other end, as a request extension; requests from within the process have none.
#[derive(Clone, Copy)]
pub(crate) struct Remote(pub(crate) IpAddr);

impl Remote {
    /// The client of a request; one without a connection is our own.
    pub(crate) fn of(parts: &Parts) -> IpAddr {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let remote = parts.extensions.get::<Self>();
        remote.map_or(local, |Self(address)| *address)
    }
}

/// What is recorded of a request; nothing when there is no policy.
///
/// Dropped before the request is answered, it says that the client went away.
#[derive(Default)]
pub(crate) struct Recording {
    seen: Option<Seen>,
    /// What the policy wants of it, once its sender is known.
    record: OnceLock<Option<Arc<Record>>>,
}

/// What is known of a request when it comes.
struct Seen {
    server: ApiServer,
    audit: Arc<Audit>,
    audit_id: String,
    uri: String,
    agent: String,
    ips: Vec<IpAddr>,
    received: Timestamp,
}

/// A request that is told of.
pub(crate) struct Record {
    server: ApiServer,
    audit: Arc<Audit>,
    pub(super) audited: Audited,
    event: Mutex<Event>,
    /// Whether a [`Completion`] tells the end.
    is_open: AtomicBool,
    /// Whether the end was told.
    is_over: AtomicBool,
}

/// Kept by what goes on after the answer began: dropped, it tells that the request is complete.
pub(crate) struct Completion(Arc<Record>);

impl Recording {
    /// What is recorded of a request that came now.
    pub(crate) fn new(server: &ApiServer, parts: &Parts, audit_id: &[u8]) -> Self {
        let seen = server.config().audit.as_ref().map(|audit| Seen {
            server: server.clone(),
            audit: Arc::clone(audit),
            audit_id: String::from_utf8_lossy(audit_id).into_owned(),
            uri: parts.uri.path_and_query().map_or_else(
                || parts.uri.path().to_owned(),
                |path| path.as_str().to_owned(),
            ),
            agent: text(&parts.headers, USER_AGENT.as_str()),
            ips: ips(parts),
            received: audit.now(),
        });
        Self {
            seen,
            record: OnceLock::new(),
        }
    }

    /// Tells that a request came, once its sender is known; `request` is before impersonation.
    ///
    /// # Errors
    /// It cannot be told, and must not go on then.
    pub(crate) async fn received(&self, request: &Attributes) -> Result<(), StatusError> {
        let Some(seen) = &self.seen else {
            return Ok(());
        };
        let Some(record) = self.record.get_or_init(|| seen.record(request)) else {
            return Ok(());
        };
        // In a box, so that a request of which nothing is told takes no room for it.
        let is_told = Box::pin(record.tell(Stage::RequestReceived)).await;
        if is_told || seen.audit.mode != Mode::BlockingStrict {
            return Ok(());
        }
        seen.server.metrics().audit.rejected();
        Err(StatusError::internal("failed to store audit event"))
    }

    /// What is told of the request, if it is.
    pub(crate) fn record(&self) -> Option<&Arc<Record>> {
        self.record.get()?.as_ref()
    }

    /// Whether the bodies of answers are told.
    pub(crate) fn takes_bodies(&self) -> bool {
        let level = self.record().map(|record| record.audited.level);
        level == Some(Level::RequestResponse)
    }

    /// Notes as whom a request is sent.
    pub(crate) fn impersonated(&self, user: &User, constraint: &str) {
        if let Some(record) = self.record() {
            record.event().impersonated(user, constraint);
        }
    }

    /// Notes what the authorizers said. Source: apiserver `endpoints/filters/authorization.go`.
    pub(crate) fn decided(&self, decision: &Decision, request: &Attributes) {
        let Some(record) = self.record() else {
            return;
        };
        let (decision, reason) = match decision {
            Decision::Allow => ("allow", auth::allowed_by(&record.server, request)),
            Decision::Deny { reason } | Decision::NoOpinion { reason } => {
                ("forbid", reason.clone())
            }
        };
        record.annotate("authorization.k8s.io/decision", decision);
        record.annotate("authorization.k8s.io/reason", &reason);
    }

    /// Whether there is a policy.
    pub(crate) fn is_on(&self) -> bool {
        self.seen.is_some()
    }

    /// Runs what answers the request, and tells when it panics.
    pub(crate) async fn watch_over<T>(&self, answering: impl Future<Output = T>) -> T {
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(answer) => answer,
            Err(payload) => {
                if let Some(record) = self.record() {
                    let text = payload.downcast_ref::<String>().map(String::as_str);
                    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
                    let why = format!("APIServer panic'd: {}", text.unwrap_or("something"));
                    record.panicked(why).await;
                }
                resume_unwind(payload)
            }
        }
    }

    /// Tells how a request was answered, before the answer is sent; it is complete then, unless it is long-running.
    pub(crate) async fn answered(
        &self,
        info: &RequestInfo,
        is_long_running: bool,
        response: answer::Answer,
    ) -> answer::Answer {
        match &self.seen {
            None => response,
            Some(seen) => Box::pin(self.tell_answer(seen, info, is_long_running, response)).await,
        }
    }

    async fn tell_answer(
        &self,
        seen: &Seen,
        info: &RequestInfo,
        is_long_running: bool,
        response: answer::Answer,
    ) -> answer::Answer {
        let is_known = self.record.get().is_some();
        let nobody = || seen.record(&auth::attributes(&User::default(), info));
        let Some(record) = self.record.get_or_init(nobody) else {
            return response;
        };
        let response = answer::noted(record, info, is_long_running, response).await;
        if !is_known {
            // Source: apiserver `endpoints/filters` `WithFailedAuthenticationAudit`, `withFailedRequestAudit`.
            record.is_over.store(true, Ordering::Release);
            record.tell(Stage::ResponseStarted).await;
            return response;
        }
        if is_long_running {
            record.tell(Stage::ResponseStarted).await;
        }
        if !record.is_open.load(Ordering::Acquire) {
            record.complete().await;
        }
        response
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if let Some(Some(record)) = self.record.get()
            && !record.is_open.load(Ordering::Acquire)
            && !record.is_over.load(Ordering::Acquire)
        {
            drop(Completion(Arc::clone(record)));
        }
    }
}

impl Seen {
    /// What the policy wants to be told of a request.
    fn record(&self, request: &Attributes) -> Option<Arc<Record>> {
        let audited = self.audit.evaluate(request);
        self.server.metrics().audit.level(audited.level);
        if audited.level == Level::None {
            return None;
        }
        let mut event = Event::new(audited.level, &self.audit_id, request, self.received);
        event.request_uri.clone_from(&self.uri);
        event.set_user_agent(&self.agent);
        event.source_ips.clone_from(&self.ips);
        Some(Arc::new(Record {
            server: self.server.clone(),
            audit: Arc::clone(&self.audit),
            audited,
            event: Mutex::new(event),
            is_open: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }))
    }
}

impl Record {
    /// What is to be kept until the request is complete, if that is after its answer began.
    pub(crate) fn completion(self: &Arc<Self>) -> Completion {
        self.is_open.store(true, Ordering::Release);
        Completion(Arc::clone(self))
    }

    /// Notes something on the way; what was noted first under a key stays.
    pub(crate) fn annotate(&self, key: &str, value: &str) {
        let mut event = self.event();
        let noted = event.annotations.entry(key.to_owned());
        noted.or_insert_with(|| value.to_owned());
    }

    /// Notes the object that was sent, as `complete` leaves it.
    pub(crate) fn requested(&self, object: &Object, complete: impl FnOnce(&mut Object)) {
        let told = (self.audited.level >= Level::Request).then(|| {
            let mut object = object.clone();
            complete(&mut object);
            answer::told(object, self.audited.omit_managed_fields)
        });
        self.event().requested(object, told.flatten());
    }

    /// Notes the patch that was sent, as JSON.
    pub(crate) fn patched(&self, patch: impl FnOnce() -> Option<Object>) {
        if self.audited.level >= Level::Request {
            let told = patch().and_then(|patch| answer::told(patch, false));
            self.event().request_object = told;
        }
    }

    /// Notes how the request was answered.
    pub(super) fn noted(
        &self,
        status: Option<Status>,
        code: u16,
        body: Option<Box<serde_json::value::RawValue>>,
    ) {
        let mut event = self.event();
        event.answered(status, code);
        event.response_object = body;
    }

    async fn panicked(&self, why: String) {
        let status = StatusError::new(500, "InternalError", why);
        self.event().answered(Some(*status.0), 500);
        self.is_over.store(true, Ordering::Release);
        self.tell(Stage::Panic).await;
    }

    /// Tells that the request is complete, once.
    async fn complete(&self) {
        if self.is_over.swap(true, Ordering::AcqRel) {
            return;
        }
        {
            let mut event = self.event();
            if event.response_status.is_none() {
                let mut status = Status::success();
                status.message = "Connection closed early".into();
                event.answered(Some(status), 200);
            }
        }
        self.tell(Stage::ResponseComplete).await;
    }

    /// Writes the event of a stage, if the policy wants it; answers with whether nothing was lost.
    async fn tell(&self, stage: Stage) -> bool {
        if self.audited.omit_stages.contains(stage) {
            return true;
        }
        self.server.metrics().audit.event();
        let line = {
            let mut event = self.event();
            event.stage = stage;
            if stage != Stage::RequestReceived {
                event.stage_timestamp = self.audit.now();
            }
            self.audit.line(&mut event)
        };
        let written = match line {
            Ok(line) => self.audit.write(line).await,
            Err(lost) => Err(lost),
        };
        match written {
            Ok(None) => true,
            Ok(Some(written)) => {
                let (server, event) = (self.server.clone(), self.event().legacy());
                self.audit.queue.unattended(async move {
                    if let Err(lost) = settled(written.await) {
                        report(&server, &lost, &event);
                    }
                });
                true
            }
            Err(lost) => {
                report(&self.server, &lost, &self.event().legacy());
                false
            }
        }
    }

    fn event(&self) -> MutexGuard<'_, Event> {
        self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let record = Arc::clone(&self.0);
        let audit = Arc::clone(&record.audit);
        audit
            .queue
            .unattended(async move { record.complete().await });
    }
}

/// Says that an event is lost. Source: apiserver `audit.HandlePluginError`.
fn report(server: &ApiServer, lost: &Lost, event: &str) {
    server.metrics().audit.error(lost.plugin);
    let event = event.trim_end();
    error!(
        plugin = lost.plugin,
        why = lost.why,
        event,
        "audit event lost"
    );
}

/// From where a request came.
fn ips(parts: &Parts) -> Vec<IpAddr> {
    let remote = Remote::of(parts);
    let header = |name| text(&parts.headers, name);
    source_ips(&header("x-forwarded-for"), &header("x-real-ip"), remote)
}

/// The first header of a name, whatever bytes it has.
fn text(headers: &HeaderMap, name: &str) -> String {
    let header = headers.get(name).map(http::HeaderValue::as_bytes);
    String::from_utf8_lossy(header.unwrap_or_default()).into_owned()
}
