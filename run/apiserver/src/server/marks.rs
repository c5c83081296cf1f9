//! What every answer carries, and how its size is counted.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::metrics::Sized;
use crate::policy::FlowMark;

/// Names a request in logs; a client may choose it. Source: apiserver `audit.HeaderAuditID`.
const AUDIT_ID: &str = "audit-id";

/// Names the FlowSchema that a request falls under, and its priority level. Source: api `flowcontrol/v1/types.go`.
const FLOW_SCHEMA: &str = "x-kubernetes-pf-flowschema-uid";
const PRIORITY_LEVEL: &str = "x-kubernetes-pf-prioritylevel-uid";

/// What names a request: the client's word, or one that is made for it. Source: apiserver `filters/audit_init.go`.
pub(super) fn audit_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(AUDIT_ID).filter(|given| !given.is_empty());
    given.cloned().unwrap_or_else(|| {
        let mut text = uuid::Uuid::encode_buffer();
        let made = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(made).expect("a uuid is ASCII")
    })
}

/// Headers of every answer that does not turn into something else.
///
/// Source: apiserver `filters/cachecontrol.go`, `server/filters/priority-and-fairness.go`.
pub(super) fn mark(headers: &mut HeaderMap, audit_id: HeaderValue, flow: Option<FlowMark>) {
    if let Some(flow) = flow {
        headers.insert(FLOW_SCHEMA, flow.schema);
        headers.insert(PRIORITY_LEVEL, flow.level);
    }
    headers.insert(AUDIT_ID, audit_id);
    let unsaid = headers.entry(http::header::CACHE_CONTROL);
    unsaid.or_insert(HeaderValue::from_static("no-cache, private"));
}

/// An answer whose size is noted once all of it was made.
pub(super) fn sized(response: Response<Body>, mut size: Sized) -> Response<Body> {
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
