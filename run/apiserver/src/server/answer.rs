//! Answering a request for a resource once its sender may send it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kinds::Kind;
use kinds::strategy::User;
use meta::{Gvr, StatusError};

use super::{ApiServer, Learnt};
use crate::call::Call;
use crate::form::{accept, asks_for_indented, negotiate, refused_in};
use crate::limits::Class;
use crate::options::Query;
use crate::request::RequestInfo;
use crate::{auth, heavy, limits, proxy, respond, verbs};

/// A change that brings, and concerns, no more bytes than this takes no room.
const SMALL_BYTES: usize = 64 << 10;

impl ApiServer {
    pub(super) async fn answer(
        &self,
        mut parts: Parts,
        body: Body,
        query: Query,
        info: RequestInfo,
        longest: Duration,
        learnt: &Learnt,
    ) -> Result<Response<Body>, StatusError> {
        let admitted = self.admit(&parts, &query, &info, longest, learnt);
        let user = match admitted.await {
            Ok(user) => user,
            Err(turned) => return Ok(turned.answer(&refused_in(&query, &parts.headers))),
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
        if let Some(audit) = learnt.audit.record().filter(|_| kind.deprecation.is_some()) {
            audit.annotate("k8s.io/deprecated", "true");
        }
        let is_carried = proxy::is_carried(&kind, &info.subresource);
        // A log is carried as well, but what asks for one is an ordinary route.
        let is_head = parts.method == Method::HEAD && (!is_carried || info.subresource == "log");
        // Upstream has routes of pods', services' and nodes' proxies for OPTIONS too, which is no verb.
        let is_odd = info.verb.is_empty() && parts.method != Method::OPTIONS;
        if is_head || is_odd || (info.verb == "watch" && parts.method != Method::GET) {
            return Err(StatusError::method_not_allowed());
        }
        if is_carried {
            let connect = proxy::Connect {
                server: self,
                info: &info,
                user: &user,
                query: &query,
                audit: learnt.audit.record(),
                parts,
                body,
            };
            return proxy::connect(connect).await;
        }
        let mut answer = negotiate(accept(&parts.headers), &kind, &info)?;
        check_name(&info.name)?;
        answer.is_indented |= asks_for_indented(&query, &parts.headers);
        // What a read or a watch brings is not looked at, and so not kept.
        let (mut brought, mut changed_bytes) = (Bytes::new(), 0);
        if limits::class(&info.verb, &info.subresource) == Class::Write {
            changed_bytes = heavy::changed_bytes(self.config().store.as_ref(), &kind, &info);
            // Until the answer is read: bodies may come slowly, answers may be left unread, and there may be as many as seats.
            let (room, bytes) = (&self.inner.changes, self.bytes_of(&body).max(changed_bytes));
            let Ok(share) = room.take_beyond(SMALL_BYTES, &user.name, bytes) else {
                return Ok(respond::too_many());
            };
            share.map(|share| learnt.room.set(share));
            brought = self.read(body).await?;
            self.inner.metrics.requests.read(&info, brought.len());
        }
        let call = Call {
            server: self.clone(),
            api_version: kind.api_version(),
            kind,
            info,
            user,
            query,
            headers: parts.headers,
            answer,
            body: brought,
            changed_bytes,
            now: (self.config().clock)(),
            refusal: Arc::default(),
            audit: learnt.audit.record().cloned(),
        };
        verbs::run(call).await
    }

    /// How large a body is that will be read: as it says, or as it may be.
    fn bytes_of(&self, body: &Body) -> usize {
        let most = self.config().limits.body_bytes_max;
        let said = body
            .size_hint()
            .upper()
            .and_then(|said| usize::try_from(said).ok());
        said.map_or(most, |said| said.min(most))
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
                .filter(|_| info.rest.is_empty() || info.subresource == "proxy")
                .ok_or_else(StatusError::no_route)?
                .verbs
        };
        // What is written encoded in a path is no slash for its route.
        if info.name.contains('/') {
            return Err(StatusError::no_route());
        }
        // The objects of all namespaces are read together, never written; a cluster-scoped kind is never in a namespace.
        let is_listed = kind.verbs.iter().any(|verb| verb == "list");
        let is_misplaced = if kind.is_namespaced() {
            let is_of_all = is_listed && matches!(info.verb.as_str(), "list" | "watch");
            info.namespace.is_empty() && !(is_of_all && info.name.is_empty())
        } else {
            let is_itself = info.resource == "namespaces" && info.namespace == info.name;
            !info.namespace.is_empty() && !is_itself
        };
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
        let has_no_verb = info.verb.is_empty() && info.subresource == "proxy";
        let is_served = has_no_verb || verbs.iter().any(|verb| *verb == info.verb);
        if !is_aside && (is_writer || is_served) {
            return Ok(Arc::clone(kind));
        }
        Err(StatusError::method_not_allowed())
    }
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

fn unreadable(error: &(dyn std::error::Error + 'static), limit: usize) -> StatusError {
    if error.downcast_ref::<LengthLimitError>().is_some() {
        return StatusError::too_large(format!("Request entity too large: limit is {limit}"));
    }
    StatusError::bad_request(format!("cannot read the request body: {error}"))
}
