//! DELETE of all selected objects of a collection.

use axum::body::Body;
use http::Response;
use meta::{ObjectExt, StatusError};

use super::{delete, list};
use crate::call::Call;
use crate::options::ListOptions;
use crate::selection::Selection;
use crate::{respond, write};

pub(super) async fn delete_collection(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = delete::options(call)?;
    let list_options = ListOptions::read(&call.query, false)?;
    let selection = Selection::read(&list_options, call, "")?;
    let page = list::select(call, &list_options, &selection).await?;
    for item in &page.items {
        let object: meta::Object = serde_json::from_slice(item).map_err(StatusError::internal)?;
        match write::delete(call, object.name(), &options).await {
            Ok(_) => {}
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    // Upstream answers with what it found, as it found it.
    let mut response = list::answer(call, page).await?;
    respond::warn(&mut response, &options.warnings(&call.kind));
    Ok(response)
}
