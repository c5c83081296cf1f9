//! Between the form objects are stored in and the form a version serves.

use std::ops::Deref;

use bytes::Bytes;
use kinds::Kind;
use meta::{Object, StatusError};
use store::{Encoded, Entry, Key, ResourceCount, Shared, Store, StoreError};

use crate::cluster::parse;

/// Whether the stored form is what this row serves.
pub(crate) fn is_served_as_stored(kind: &Kind) -> bool {
    kind.stored_as.is_none() && kind.version == kind.storage_version
}

/// Where an object of this kind is kept.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    Key::new(kind.storage_resource().to_string(), namespace, name)
}

/// How much there is of what is kept of this kind; `None` when there never was any.
pub(crate) fn count(store: &dyn Store, kind: &Kind) -> Option<ResourceCount> {
    let resource = kind.storage_resource().to_string();
    let mut counts = store.resources().into_iter();
    counts.find(|count| *count.resource == *resource)
}

/// The object in the row's version.
pub(crate) fn object(kind: &Kind, entry: &Entry) -> Result<Object, StatusError> {
    let mut object = parse(entry).ok_or_else(|| {
        tracing::error!(key = %entry.key, "stored object cannot be read");
        StatusError::internal(format!("cannot decode the stored object {}", entry.key))
    })?;
    if !is_served_as_stored(kind) {
        kind.strategy.served_form(&mut object);
        set_version(&mut object, kind.api_version());
    }
    Ok(object)
}

/// The bytes in the row's version; the stored buffer itself where it is the same.
pub(crate) fn bytes(kind: &Kind, entry: &Entry) -> Result<Bytes, StatusError> {
    if is_served_as_stored(kind) {
        return Ok(entry.value.clone());
    }
    object(kind, entry).map(|object| wire::encode::bytes(&object).into())
}

/// The bytes of an object of a list.
pub(crate) enum Item {
    /// As they are stored.
    Stored(Shared),
    /// Made for this list.
    Made(Bytes),
}

impl Deref for Item {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Stored(entry) => &entry.value,
            Self::Made(bytes) => bytes,
        }
    }
}

/// The object in the row's version, as an item of a list.
pub(crate) fn item(kind: &Kind, entry: &Shared) -> Result<Item, StatusError> {
    if is_served_as_stored(kind) {
        return Ok(Item::Stored(entry.clone()));
    }
    bytes(kind, entry).map(Item::Made)
}

/// Encodes an object of the row's version for the store.
pub(crate) fn encode(kind: &Kind, object: &Object) -> Encoded {
    let holed = if is_served_as_stored(kind) {
        wire::encode::encode(object)
    } else {
        let mut object = object.clone();
        kind.strategy.store_form(&mut object);
        let group = kind.storage_resource().group;
        set_version(
            &mut object,
            meta::id::api_version(&group, &kind.storage_version),
        );
        wire::encode::encode(&object)
    };
    Encoded {
        bytes: holed.bytes,
        revision_at: holed.revision_at,
    }
}

fn set_version(object: &mut Object, api_version: String) {
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), api_version.into());
    }
}

/// What a client is told when the store refuses; conflicts are settled by the caller before.
pub(crate) fn refusal(kind: &Kind, error: &StoreError) -> StatusError {
    let resource = kind.group_resource();
    match error {
        StoreError::Exists { current } => StatusError::already_exists(&resource, &current.key.name),
        StoreError::Missing { key } => StatusError::not_found(&resource, &key.name),
        StoreError::Conflict { current } => StatusError::modified(&resource, &current.key.name),
        StoreError::Compacted { .. } => StatusError::expired(error.to_string()),
        StoreError::Future { .. } => timeout(),
        StoreError::TooLarge { .. } => StatusError::too_large(error.to_string()),
        other => {
            tracing::error!(error = other as &dyn std::error::Error, "the store failed");
            StatusError::internal(other)
        }
    }
}

/// Upstream's answer to a revision that does not come in time.
pub(crate) fn timeout() -> StatusError {
    StatusError::new(
        504,
        "Timeout",
        "Timeout: request did not complete within the allotted timeout",
    )
    .with_details(meta::status::Details::default())
}
