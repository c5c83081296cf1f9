//! What an answer tells: its Status, and at the highest level its body.

use access::audit::{Level, may_hide, shown};
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use kinds::schema::{builtin_kind, decode};
use meta::{Gvk, Object, Status, raw};
use serde_json::value::RawValue;
use wire::media::{self, Format};
use wire::protobuf;

use super::record::Record;
use crate::request::RequestInfo;

/// What a request is answered with.
pub(super) type Answer = Response<Body>;

/// Larger answers are no Status.
const STATUS_BYTES_MAX: u64 = 1 << 20;

/// Notes what an answer says; it is the same afterwards.
pub(super) async fn noted(
    record: &Record,
    info: &RequestInfo,
    is_long_running: bool,
    answer: Answer,
) -> Answer {
    let code = answer.status().as_u16();
    let level = record.audited.level;
    let is_told = level == Level::RequestResponse && !is_long_running;
    // Reads answer with a Status only when they are refused.
    let is_read = matches!(info.verb.as_str(), "get" | "list" | "watch");
    let size = answer.body().size_hint().exact();
    let is_small = size.is_some_and(|size| size <= STATUS_BYTES_MAX);
    // What is carried on is not made here.
    let is_own = info.subresource != "proxy";
    let is_looked_at = is_told || (is_small && is_own && (code >= 400 || !is_read));
    let is_encoded = answer.headers().contains_key(CONTENT_ENCODING);
    // Upstream notes what it encodes, which a refusal in no format that is wanted is not.
    if !is_looked_at || is_encoded || code == StatusCode::NOT_ACCEPTABLE.as_u16() {
        record.noted(None, code, None);
        return answer;
    }
    let (head, body) = answer.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            record.noted(None, code, None);
            let broken = futures::stream::iter([Err::<Bytes, _>(error)]);
            return Response::from_parts(head, Body::from_stream(broken));
        }
    };
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let json = json(content_type.unwrap_or_default(), &body);
    let status = json.as_ref().and_then(|json| status(json));
    // What is no object, such as a version or a page of text, is not told.
    let is_object = |json: &Bytes| raw::at(json, &["kind"]).is_some();
    let told = json.filter(|json| level == Level::RequestResponse && is_object(json));
    let told = told.and_then(|json| raw_of(&json, record.audited.omit_managed_fields));
    record.noted(status, code, told);
    Response::from_parts(head, Body::from(body))
}

/// An object as it is told.
pub(super) fn told(object: Object, omit_managed_fields: bool) -> Option<Box<RawValue>> {
    let bytes = wire::encode::bytes(&shown(object, omit_managed_fields));
    RawValue::from_string(String::from_utf8(bytes).ok()?).ok()
}

/// JSON as it is told: on one line.
fn raw_of(json: &[u8], omit_managed_fields: bool) -> Option<Box<RawValue>> {
    let json = json.trim_ascii();
    if json.contains(&b'\n') || may_hide(json, omit_managed_fields) {
        let object = serde_json::from_slice(json).ok()?;
        return told(object, omit_managed_fields);
    }
    RawValue::from_string(String::from_utf8(json.to_vec()).ok()?).ok()
}

/// The Status that a body is, if it is one.
fn status(json: &[u8]) -> Option<Status> {
    let is = |field: &str, wanted: &[u8]| raw::at(json, &[field]) == Some(wanted);
    if !is("kind", b"\"Status\"") || !is("apiVersion", b"\"v1\"") {
        return None;
    }
    serde_json::from_slice(json).ok()
}

/// A body as JSON; `None` of what is no object.
fn json(content_type: &str, body: &Bytes) -> Option<Bytes> {
    match media::body_format(content_type).filter(|_| !content_type.is_empty())? {
        Format::Json => Some(body.clone()),
        Format::Yaml => {
            let document = wire::yaml::read(body).ok()?;
            Some(wire::encode::bytes(&document.value).into())
        }
        Format::Protobuf => Some(wire::encode::bytes(&opened(body)?).into()),
    }
}

/// The object in a protobuf body.
fn opened(body: &[u8]) -> Option<Object> {
    use meta::ObjectExt as _;
    let envelope = protobuf::open(body).ok()?;
    let gvk = Gvk::from_api_version(&envelope.api_version, &envelope.kind)?;
    let schema = builtin_kind(&gvk)?;
    let mut object = protobuf::read(envelope.raw, &schema.graph, schema.as_struct()?).ok()?;
    object.set(&["apiVersion"], envelope.api_version.into());
    object.set(&["kind"], envelope.kind.into());
    // Fields that say nothing are not written.
    decode(object, &schema).ok().map(|decoded| decoded.object)
}
