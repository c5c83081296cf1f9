//! The generic verbs, one file each.

mod collection;
mod create;
mod delete;
mod get;
pub(crate) mod list;
pub(crate) mod patch;
mod update;
mod watch;

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use meta::StatusError;

use crate::call::Call;
use crate::{respond, special};

/// Runs the verb of a call.
///
/// # Errors
/// Whatever refuses the request, as a Status.
pub(crate) async fn run(call: Call) -> Result<Response<Body>, StatusError> {
    let (kind, format) = (Arc::clone(&call.kind), call.answer.format);
    let result = perform(call).await;
    let Some(deprecation) = &kind.deprecation else {
        return result;
    };
    // Refusals carry the warning too.
    let mut response = result.unwrap_or_else(|error| respond::refusal(&error, format));
    respond::warn(&mut response, &[deprecation.to_string()]);
    Ok(response)
}

async fn perform(call: Call) -> Result<Response<Body>, StatusError> {
    if let Some(special) = special::of(&call.kind, &call.info.subresource) {
        return special.run(&call).await;
    }
    match call.info.verb.as_str() {
        "get" => get::get(&call).await,
        "list" => list::list(&call).await,
        "watch" => watch::watch(call).await,
        "create" => create::create(&call).await,
        "update" => update::update(&call).await,
        "patch" => patch::patch(&call).await,
        "delete" => delete::delete(&call).await,
        "deletecollection" => collection::delete_collection(&call).await,
        _ => Err(StatusError::method_not_allowed()),
    }
}
