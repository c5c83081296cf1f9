//! The generic verbs, one file each.

mod collection;
mod create;
mod delete;
mod get;
pub(crate) mod list;
pub(crate) mod patch;
mod update;
mod watch;

use std::sync::{Arc, PoisonError};

use axum::body::Body;
use http::Response;
use meta::StatusError;

use crate::call::Call;
use crate::{heavy, limits, respond, special};

/// Runs the verb of a call.
///
/// # Errors
/// Whatever refuses the request, as a Status.
pub(crate) async fn run(call: Call) -> Result<Response<Body>, StatusError> {
    let (kind, form) = (Arc::clone(&call.kind), call.refused_in());
    let refusal = Arc::clone(&call.refusal);
    let result = if heavy::is_heavy(&call) {
        let server = call.server.clone();
        let class = limits::class(&call.info.verb, &call.info.subresource);
        let done = server.heavy().run(class, perform(call)).await;
        done.unwrap_or_else(|| Ok(respond::too_many()))
    } else {
        perform(call).await
    };
    // Refusals carry warnings too.
    let mut warnings: Vec<String> = kind.deprecation.iter().map(ToString::to_string).collect();
    if result.is_err() {
        let refusal = refusal.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(refusal.warnings.iter().cloned());
    }
    if warnings.is_empty() {
        return result;
    }
    let mut response = result.unwrap_or_else(|error| respond::refusal(&error, &form));
    respond::warn_first(&mut response, &warnings);
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
