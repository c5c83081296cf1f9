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
use wire::media::Format;

use super::{ApiServer, Learnt};
use crate::held::Kept;
use crate::limits::Class;
use crate::metrics::Asked;
use crate::options::Query;
use crate::request::RequestInfo;
use crate::socket::Socket;
use crate::{auth, fixed, health, held, limits, respond};

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
    pub(super) async fn admit(
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
}

/// Source: apiserver `server/filters/timeout.go`.
fn out_of_time() -> StatusError {
    let why = "Timeout: request did not complete within the allotted timeout";
    StatusError::new(504, "Timeout", why)
}
