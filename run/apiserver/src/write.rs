//! The one write path: default, admit, prepare, validate, encode once, commit with a precondition.

mod below;
mod commit;
mod create;
mod delete;
mod metadata;
mod update;

use bytes::Bytes;
use kinds::Kind;
use kinds::schema::decode_enabled;
use kinds::strategy::Operation;
use meta::{Object, StatusError};
use store::Durability;

use crate::call::Call;

pub(crate) use below::below;
use commit::{Step, commit};
pub(crate) use create::create;
pub(crate) use delete::{Deleted, delete};
pub(crate) use metadata::{Identity, without_version};
pub(crate) use update::{Change, check_identity, check_name, update};

/// A write that was carried out (or would have been, when dry).
pub(crate) struct Written {
    /// The object in the row's version.
    pub(crate) object: Bytes,
    /// Whether it was not there before.
    pub(crate) is_new: bool,
    /// For the client.
    pub(crate) warnings: Vec<String>,
}

/// Who settles which manager owns the fields of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// The write path, by comparing before and after.
    Recorded,
    /// The change itself: server-side apply.
    Applied,
}

/// How soon a write of a kind must be on disk.
fn durability(kind: &Kind) -> Durability {
    match kind.durability {
        kinds::kind::Durability::Synced => Durability::Synced,
        kinds::kind::Durability::Relaxed => Durability::Relaxed,
    }
}

/// Runs the mutating plugins over an object; answers with it and their warnings.
fn admit(
    call: &Call,
    operation: Operation,
    name: &str,
    object: Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<(Object, Vec<String>), StatusError> {
    let mut request = call.admission(operation, name, Some(object), old, dry_run);
    call.admit(&mut request)?;
    Ok((request.object.take().unwrap_or_default(), request.warnings))
}

/// Runs the validating plugins; answers with the object, unchanged, and their warnings.
fn check(
    call: &Call,
    operation: Operation,
    name: &str,
    object: Object,
    old: Option<&Object>,
    dry_run: bool,
) -> Result<(Object, Vec<String>), StatusError> {
    let request = call.admission(operation, name, Some(object), old, dry_run);
    let warnings = call.validate(&request)?;
    Ok((request.object.unwrap_or_default(), warnings))
}

/// Brings an object that strategies and plugins changed back into canonical form.
fn canonical(call: &Call, object: Object) -> Result<Object, StatusError> {
    decode_enabled(object, &call.kind.schema)
        .map(|decoded| decoded.object)
        .map_err(StatusError::internal)
}

/// Upstream's 422 for an object of the request's kind.
fn invalid(call: &Call, name: &str, errors: &[meta::FieldError]) -> Result<(), StatusError> {
    if errors.is_empty() {
        return Ok(());
    }
    // Events of the newer group are those of the older one to upstream's rules.
    let stored_as = call.kind.stored_as.as_ref();
    let group = match stored_as {
        Some(stored) => stored.group.as_str(),
        None => call.kind.group.as_ref(),
    };
    Err(StatusError::invalid(group, &call.kind.kind, name, errors))
}
