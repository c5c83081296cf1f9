//! Server-owned metadata: what a client cannot set, and what survives every update.

use jiff::Timestamp;
use kinds::Kind;
use meta::field::{FieldError, Path};
use meta::{GroupResource, Object, ObjectExt, StatusError};
use serde_json::Value;

/// Fields of `metadata` that a client cannot give a new object. Source: `rest.WipeObjectMetaSystemFields`.
const SYSTEM: [&str; 5] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

/// Takes away what only the server writes.
pub(super) fn wipe(object: &mut Object) {
    let metadata = object.metadata_mut();
    for field in SYSTEM {
        metadata.remove(field);
    }
}

/// Drops owner references that stand there twice; answers with the warning. Source: `dedupOwnerReferencesAndAddWarning`.
pub(super) fn single_owners(object: &mut Object, is_admitted: bool) -> Option<String> {
    let owners = object.owner_references();
    if owners.len() < 2 {
        return None;
    }
    let mut single: Vec<Value> = Vec::with_capacity(owners.len());
    let mut surplus = Vec::new();
    for owner in owners {
        if single.contains(owner) {
            surplus.push(owner.str_at(&["uid"]).unwrap_or_default().to_owned());
        } else {
            single.push(owner.clone());
        }
    }
    if surplus.is_empty() {
        return None;
    }
    object.set(&["metadata", "ownerReferences"], single.into());
    let when = if is_admitted {
        " after mutating admission happens"
    } else {
        ""
    };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        surplus.join(", ")
    ))
}

/// Fills in what a new object gets. Source: `rest.FillObjectMetaSystemFields`.
pub(super) fn fill(kind: &Kind, object: &mut Object, uid: String, now: Timestamp) {
    let metadata = object.metadata_mut();
    metadata.insert("uid".into(), uid.into());
    metadata.insert(
        "creationTimestamp".into(),
        meta::time::to_rfc3339(now).into(),
    );
    let first = kind.strategy.first_generation();
    if kind.strategy.has_generation() && first != 0 {
        metadata.insert("generation".into(), first.into());
    }
}

/// Carries over what survives an update. Source: `rest.BeforeUpdate`, `DefaultUpdatedObjectInfo`.
pub(super) fn keep(new: &mut Object, old: &Object) {
    for field in ["creationTimestamp", "generation"] {
        match old.at(&["metadata", field]) {
            Some(kept) => new.set(&["metadata", field], kept.clone()),
            None => {
                new.remove(&["metadata", field]);
            }
        }
    }
    // What is left out is meant as it was; what is changed is refused by validation.
    for field in ["name", "uid"] {
        if new
            .str_at(&["metadata", field])
            .unwrap_or_default()
            .is_empty()
        {
            let kept = old.at(&["metadata", field]).cloned().unwrap_or_default();
            new.set(&["metadata", field], kept);
        }
    }
    // A deletion that has begun cannot be taken back; that its grace is another is for validation to refuse.
    if let Some(kept) = old.at(&["metadata", "deletionTimestamp"]) {
        new.set(&["metadata", "deletionTimestamp"], kept.clone());
    }
    let grace = ["metadata", "deletionGracePeriodSeconds"];
    if let Some(kept) = old.at(&grace)
        && new.int_at(&grace).is_none()
    {
        new.set(&grace, kept.clone());
    }
    // Source: `rest.BeforeUpdate`, by way of `PrepareObjectForStorage`: nothing stores it.
    new.remove(&["metadata", "selfLink"]);
}

/// Whether an object may be written to a namespace. Source: `rest.EnsureObjectNamespaceMatchesRequestNamespace`.
pub(super) fn check_namespace(
    kind: &Kind,
    object: &Object,
    requested: &str,
) -> Result<(), StatusError> {
    let given = object.namespace();
    if !kind.is_namespaced() || given.is_empty() || given == requested {
        return Ok(());
    }
    let why =
        "the namespace of the provided object does not match the namespace sent on the request";
    Err(StatusError::bad_request(why))
}

/// The namespace an object is written to.
pub(super) fn settle_namespace(
    kind: &Kind,
    object: &mut Object,
    requested: &str,
) -> Result<(), StatusError> {
    if !kind.is_namespaced() {
        object.remove(&["metadata", "namespace"]);
        return Ok(());
    }
    check_namespace(kind, object, requested)?;
    if object.namespace().is_empty() {
        object.set(&["metadata", "namespace"], requested.into());
    }
    Ok(())
}

/// Where upstream's store has objects of resources that do not lie under their own name.
///
/// Source: `SpecialDefaultResourcePrefixes`; kinds of apiextensions and apiregistration lie below their group.
const PREFIXES: [(&str, &str); 7] = [
    ("replicationcontrollers", "controllers"),
    ("endpoints", "services/endpoints"),
    ("services", "services/specs"),
    ("nodes", "minions"),
    ("ingresses", "ingress"),
    ("apiservices", "apiregistration.k8s.io/apiservices"),
    (
        "customresourcedefinitions",
        "apiextensions.k8s.io/customresourcedefinitions",
    ),
];

/// The key of an object in upstream's store, as its errors show it.
fn storage_key(resource: &GroupResource, namespace: &str, name: &str) -> String {
    let plural = resource.resource.as_str();
    let special = PREFIXES.iter().find(|(name, _)| *name == plural);
    let prefix = special.map_or(plural, |(_, prefix)| prefix);
    if namespace.is_empty() {
        format!("/{prefix}/{name}")
    } else {
        format!("/{prefix}/{namespace}/{name}")
    }
}

/// What a uid in the new object means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The stored object must be the one that was read: PUT.
    Precondition,
    /// A field like others, which validation does not let change: PATCH.
    Field,
}

/// 409 for a write that is meant for an object of another uid.
pub(super) fn other_uid(
    resource: &GroupResource,
    namespace: &str,
    name: &str,
    wanted: &str,
    found: &str,
    is_dry_run: bool,
) -> StatusError {
    // What is not meant to be stored is compared before the store puts its prefix before the key.
    let root = if is_dry_run { "" } else { "/registry" };
    let key = format!("{root}{}", storage_key(resource, namespace, name));
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    );
    StatusError::conflict(resource, name, &why)
}

/// 422 for an update that names no version of a kind that wants one.
pub(crate) fn without_version(kind: &Kind, name: &str) -> StatusError {
    let path = Path::new("metadata").child("resourceVersion");
    let error = FieldError::invalid(&path, 0, "must be specified for an update");
    // Upstream's store knows the resource alone.
    StatusError::invalid(&kind.group, &kind.plural, name, &[error])
}

/// Refuses a write whose object was read from another version, or is another object, than the stored one.
pub(super) fn check_preconditions(
    resource: &GroupResource,
    new: &Object,
    old: &Object,
    kind: &Kind,
    identity: Identity,
    is_dry_run: bool,
) -> Result<(), StatusError> {
    let name = old.name();
    let (given, uid) = (new.resource_version(), new.uid());
    if identity == Identity::Precondition && !uid.is_empty() && uid != old.uid() {
        let (namespace, found) = (old.namespace(), old.uid());
        return Err(other_uid(resource, namespace, name, uid, found, is_dry_run));
    }
    let is_whole = identity == Identity::Precondition;
    if given.is_empty() && is_whole && kinds::write::needs_version(kind) {
        return Err(without_version(kind, name));
    }
    if !given.is_empty()
        && let Err(why) = crate::options::parse_uint(given)
    {
        return Err(StatusError::new(500, "", why));
    }
    if !given.is_empty() && given != "0" && given != old.resource_version() {
        return Err(StatusError::modified(resource, name));
    }
    Ok(())
}
