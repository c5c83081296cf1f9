//! Writes below the strategies: what upstream's subresources change in storage directly, such as a pod's node.
//!
//! Reads, changes and writes back until nobody was faster. Admission has seen the request already; defaults, validation
//! and field ownership do not apply, as upstream's `GuaranteedUpdate` in a registry's own storage.

use meta::{GroupResource, Object, StatusError};
use store::{Entry, Precondition, StoreError};

use super::durability;
use crate::call::Call;
use crate::stored;

/// Changes the object of that name in the call's namespace; answers with what was written, if anything.
///
/// # Errors
/// It is not there, the change refuses, or too many others write it.
pub(crate) async fn below(
    call: &Call,
    resource: &GroupResource,
    name: &str,
    dry_run: bool,
    change: impl Fn(&Object) -> Result<Object, StatusError> + Send,
) -> Result<Option<Entry>, StatusError> {
    let config = call.server.config();
    let kind = config
        .registry
        .rows()
        .find(|row| row.group_resource() == *resource && row.version == row.storage_version)
        .ok_or_else(StatusError::no_route)?;
    let key = stored::key(kind, &call.info.namespace, name);
    for _ in 0..config.limits.write_tries_max {
        let entry = config.store.get(&key).await;
        let entry = entry.map_err(|error| stored::refusal(kind, &error))?;
        let entry = entry.ok_or_else(|| StatusError::not_found(resource, name))?;
        let changed = change(&stored::object(kind, &entry)?)?;
        if dry_run {
            return Ok(None);
        }
        let written = config
            .store
            .put(
                entry.key,
                Precondition::Revision(entry.revision),
                stored::encode(kind, &changed),
                durability(kind),
            )
            .await;
        match written {
            Ok(entry) => return Ok(Some(entry)),
            Err(StoreError::Conflict { .. } | StoreError::Missing { .. }) => {}
            Err(error) => return Err(stored::refusal(kind, &error)),
        }
    }
    Err(StatusError::modified(resource, name))
}
