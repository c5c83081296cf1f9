//! DELETE of all selected objects of a collection.

use axum::body::Body;
use http::Response;
use meta::{ObjectExt, StatusError};
use wire::list::Head;

use super::list::Selected;
use super::{delete, list};
use crate::call::Call;
use crate::options::ListOptions;
use crate::selection::Selection;
use crate::write;

pub(super) async fn delete_collection(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = delete::options(call)?;
    let list_options = ListOptions::read(&call.query, false)?;
    let selection = Selection::read(&list_options, call, "")?;
    let page = list::select(call, &list_options, &selection).await?;
    let mut deleted = Vec::new();
    for item in &page.items {
        let object: meta::Object = serde_json::from_slice(item).map_err(StatusError::internal)?;
        match write::delete(call, object.name(), &options).await {
            Ok(gone) => deleted.push(gone.object),
            Err(error) if error.code() == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let head = Head {
        api_version: call.kind.api_version(),
        kind: call.kind.list_kind.to_string(),
        revision: call.server.config().store.revision().0,
        ..Head::default()
    };
    let items = deleted;
    list::answer(call, Selected { items, head }).await
}
