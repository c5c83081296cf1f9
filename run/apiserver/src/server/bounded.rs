//! Answering a request when not too many run already, and only to who may send it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use kinds::strategy::User;
use meta::StatusError;
use meta::selector::FieldSelector;
use wire::media::Answer;

use super::{ApiServer, Learnt};
use crate::audit::Record;
use crate::auth::Impersonated;
use crate::form::refused_in;
use crate::limits::Class;
use crate::metrics::Asked;
use crate::options::Query;
use crate::request::RequestInfo;
use crate::socket::Socket;
use crate::{auth, fixed, limits, respond};

impl ApiServer {
    /// Answers a request when not too many run already.
    pub(super) async fn bounded(
        &self,
        parts: Parts,
        body: Body,
        query: Query,
        info: &RequestInfo,
        asked: Option<&Asked>,
        learnt: &Learnt,
    ) -> Result<Response<Body>, StatusError> {
        if RequestInfo::is_unreadable(&info.path) {
            return Ok(respond::unreadable(&info.path));
        }
        let class = limits::class(&info.verb, &info.subresource);
        let mut longest = Duration::from_secs(self.config().limits.request_seconds);
        if class != Class::LongRunning {
            longest = query.timeout()?.unwrap_or(longest).min(longest);
        }
        if !info.is_resource {
            return match self.admit(&parts, &query, info, longest, learnt).await {
                Ok(_) => fixed::answer(self, &parts).await,
                Err(turned) => Ok(turned.answer(&refused_in(&query, &parts.headers))),
            };
        }
        let requests = &self.inner.metrics.requests;
        if class != Class::LongRunning {
            let answering = self.answer(parts, body, query, info.clone(), longest, learnt);
            let answered = tokio::time::timeout(longest, answering).await;
            return answered.unwrap_or_else(|_| {
                if let Some(asked) = asked {
                    requests.terminated(asked, StatusCode::GATEWAY_TIMEOUT.as_u16());
                }
                Err(out_of_time())
            });
        }
        let Ok(permit) = Arc::clone(&self.inner.long_running).try_acquire_owned() else {
            if let Some(asked) = asked {
                requests.terminated(asked, StatusCode::TOO_MANY_REQUESTS.as_u16());
            }
            return Ok(respond::too_many());
        };
        let socket = (info.verb == "watch").then(|| Socket::wanted(&parts));
        let answering = self.answer(parts, body, query, info.clone(), longest, learnt);
        let response = answering.await?;
        // What is long-running lasts until its body ends.
        let open = (
            permit,
            asked.map(|asked| requests.long_running(asked)),
            learnt.audit.record().map(Record::completion),
        );
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

    /// Who sends a request, after impersonation, when they may and there is a seat for it.
    pub(super) async fn admit(
        &self,
        parts: &Parts,
        query: &Query,
        info: &RequestInfo,
        longest: Duration,
        learnt: &Learnt,
    ) -> Result<User, Turned> {
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
        learnt.audit.received(&attributes).await?;
        let impersonated = auth::impersonate(self, &attributes, &parts.headers)?;
        if let Some(Impersonated { user, constraint }) = impersonated {
            learnt.audit.impersonated(&user, &constraint);
            attributes.user = user;
        }
        self.seat(&attributes, query, longest, learnt).await?;
        let begun = Instant::now();
        let decision = auth::decide(self, &attributes);
        access.authorized(&decision, begun.elapsed());
        learnt.audit.decided(&decision, &attributes);
        auth::require(decision, &attributes)?;
        learnt.user.get_or_init(|| attributes.user.name.clone());
        Ok(attributes.user)
    }
}

/// Why a request gets no further.
pub(super) enum Turned {
    /// Its sender is not known, or may not send it.
    Away(StatusError),
    /// Too much runs already; the seconds after which it may come again.
    Full(u16),
}

impl Turned {
    /// What it is told.
    pub(super) fn answer(&self, form: &Answer) -> Response<Body> {
        match self {
            Self::Away(error) => respond::turned_away(error, form),
            Self::Full(retry_after_seconds) => respond::too_many_requests(*retry_after_seconds),
        }
    }
}

impl From<StatusError> for Turned {
    fn from(error: StatusError) -> Self {
        Self::Away(error)
    }
}

/// Source: apiserver `server/filters/timeout.go`.
fn out_of_time() -> StatusError {
    let why = "Timeout: request did not complete within the allotted timeout";
    StatusError::new(504, "Timeout", why)
}
