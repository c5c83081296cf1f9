//! DELETE of one object.

use axum::body::Body;
use http::{Response, StatusCode};
use kinds::schema;
use meta::status::Details;
use meta::{Object, ObjectExt, Status, StatusError};
use wire::media::{self, Format};

use crate::call::Call;
use crate::options::DeleteOptions;
use crate::write::Deleted;
use crate::{body, respond, write};

pub(super) async fn delete(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = options(call)?;
    let warnings = options.warnings(&call.kind);
    let deleted = write::delete(call, &call.info.name, &options).await;
    let deleted = deleted.map_err(|error| call.refused(error, warnings.clone()))?;
    let mut response = answer(call, &options, deleted)?;
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// Delete options from the body, or from the query when there is none.
pub(super) fn options(call: &Call) -> Result<DeleteOptions, StatusError> {
    if call.body.iter().all(u8::is_ascii_whitespace) {
        return DeleteOptions::read(&call.query, None);
    }
    let content_type = call.header(http::header::CONTENT_TYPE);
    let is_json = media::body_format(content_type) == Some(Format::Json);
    let value = if is_json {
        wire::json::read(&call.body)
            .map_err(|why| StatusError::bad_request(body::unparsable(&why)))?
            .value
    } else {
        body::document(call)?.value
    };
    let body = decoded(value)?;
    if let Some(audit) = &call.audit {
        audit.requested(&body, |_| {});
    }
    DeleteOptions::read(&call.query, Some(&body).filter(|body| body.is_object()))
}

/// Decodes the options; they may be named by any group that is served.
fn decoded(value: Object) -> Result<Object, StatusError> {
    if let Some(why) = body::untyped(&value) {
        return Err(StatusError::bad_request(why));
    }
    if !matches!(value.kind(), "" | "DeleteOptions") {
        let version = match value.api_version() {
            "" => "meta.k8s.io/v1",
            version => version,
        };
        return Err(StatusError::bad_request(format!(
            "no kind {} is registered for version {} in scheme \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\"",
            meta::field::quote(value.kind()),
            meta::field::quote(version)
        )));
    }
    let schema = schema::builtin("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
        .ok_or_else(|| StatusError::internal("no facts about DeleteOptions"))?;
    if value.is_null() {
        return Ok(value);
    }
    schema::decode(value, &schema)
        .map(|decoded| decoded.object)
        .map_err(|error| StatusError::bad_request(error.to_string()))
}

fn answer(
    call: &Call,
    options: &DeleteOptions,
    deleted: Deleted,
) -> Result<Response<Body>, StatusError> {
    let kind = &call.kind;
    if deleted.is_gone && !kind.strategy.returns_deleted_object() {
        let mut status = Status::success();
        // Upstream's Status of a delete has no code.
        status.code = 0;
        status.details = Some(Details {
            name: call.info.name.clone(),
            group: kind.group.to_string(),
            kind: kind.plural.to_string(),
            uid: deleted.uid,
            ..Details::default()
        });
        return respond::status(call, &status);
    }
    // Source: handlers/delete.go, where only the deprecated way to ask for a cascade counts.
    let code = if !deleted.is_gone && options.orphans == Some(false) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    respond::object(call, kind, code, deleted.object)
}
