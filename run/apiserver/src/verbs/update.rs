//! PUT of a whole object, or of its status.

use axum::body::Body;
use http::Response;
use meta::{Object, StatusError};

use crate::body::Body as Decoded;
use crate::call::Call;
use crate::options::WriteOptions;
use crate::write::Change;
use crate::{body, respond, write};

pub(super) async fn update(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = WriteOptions::read(&call.query, "UpdateOptions")?;
    let body = body::object(call, options.field_validation)?;
    call.warn_if_refused(&body.warnings);
    write::check_identity(call, &body.object, &call.info.name)?;
    let change = Replace {
        body,
        creates: kinds::write::allows_create_on_update(&call.kind),
    };
    let written = write::update(call, &call.info.name, &options, &change).await?;
    let mut response = respond::object(call, &call.kind, written.code(), written.object.clone())?;
    respond::warn(&mut response, &written.warnings);
    Ok(response)
}

/// Puts the body in the place of the stored object.
struct Replace {
    body: Decoded,
    creates: bool,
}

impl Change for Replace {
    fn change(&self, _old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError> {
        Ok((self.body.object.clone(), self.body.warnings.clone()))
    }
    fn creates(&self) -> bool {
        self.creates
    }
}
