//! POST of a new object.

use axum::body::Body;
use http::Response;
use meta::StatusError;

use crate::call::Call;
use crate::options::WriteOptions;
use crate::write::Ownership;
use crate::{body, respond, write};

pub(super) async fn create(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = WriteOptions::read(&call.query, "CreateOptions")?;
    let body = body::object(call, options.field_validation)?;
    let written = write::create(
        call,
        body.object,
        &options,
        body.warnings,
        Ownership::Recorded,
    )
    .await?;
    let mut response = respond::object(call, &call.kind, written.code(), written.object.clone())?;
    respond::warn(&mut response, &written.warnings);
    Ok(response)
}
