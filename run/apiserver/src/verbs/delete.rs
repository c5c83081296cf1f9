//! DELETE of one object.

use axum::body::Body;
use http::{Response, StatusCode};
use meta::status::Details;
use meta::{Object, Status, StatusError};

use crate::call::Call;
use crate::options::{DeleteOptions, Propagation};
use crate::write::Deleted;
use crate::{body, respond, write};

pub(super) async fn delete(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = options(call)?;
    let deleted = write::delete(call, &call.info.name, &options).await?;
    answer(call, &options, deleted)
}

/// Delete options from the body, or from the query when there is none.
pub(super) fn options(call: &Call) -> Result<DeleteOptions, StatusError> {
    let body: Option<Object> = if call.body.iter().all(u8::is_ascii_whitespace) {
        None
    } else {
        Some(body::document(call)?.value).filter(Object::is_object)
    };
    DeleteOptions::read(&call.query, body.as_ref())
}

fn answer(
    call: &Call,
    options: &DeleteOptions,
    deleted: Deleted,
) -> Result<Response<Body>, StatusError> {
    let kind = &call.kind;
    if deleted.is_gone && !kind.strategy.returns_deleted_object() {
        let mut status = Status::success();
        status.details = Some(Details {
            name: call.info.name.clone(),
            group: kind.group.to_string(),
            kind: kind.plural.to_string(),
            uid: deleted.uid,
            ..Details::default()
        });
        return respond::status(call, &status);
    }
    // Source: handlers/delete.go: 202 when the caller asked for a cascade that is still going on.
    let is_cascading = options
        .propagation
        .is_some_and(|wanted| wanted != Propagation::Orphan);
    let code = if !deleted.is_gone && is_cascading {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    respond::object(call, kind, code, deleted.object)
}
