//! GET of one object, or of its status.

use axum::body::Body;
use http::{Response, StatusCode};
use meta::StatusError;

use super::list::settle;
use crate::call::Call;
use crate::options::parse_revision;
use crate::{auth, respond, stored};

pub(super) async fn get(call: &Call) -> Result<Response<Body>, StatusError> {
    let kind = &call.kind;
    // Nobody may think that an export came. Source: `endpoints/handlers/get.go`.
    if call.query.flag("export") {
        let why = "the export parameter, deprecated since v1.14, is no longer supported";
        return Err(StatusError::bad_request(why));
    }
    settle_version(call).await?;
    let entry = call.stored(&call.info.name).await?;
    let entry = entry.ok_or_else(|| call.not_found(&call.info.name))?;
    if let Some(told_about) = kind.strategy.told_about() {
        let told = told_about(&stored::object(kind, &entry)?);
        if !auth::may_read(&call.server, &call.user, &told) {
            let why = format!("it tells about {} {:?}", told.resource, told.name);
            return Err(auth::attributes(&call.user, &call.info).forbidden(&why));
        }
    }
    respond::object(call, kind, StatusCode::OK, stored::bytes(kind, &entry)?)
}

/// An object is read as it is once the version that is asked for has happened.
async fn settle_version(call: &Call) -> Result<(), StatusError> {
    match call.query.text("resourceVersion") {
        "" => Ok(()),
        version => settle(call, parse_revision(version)?).await,
    }
}
