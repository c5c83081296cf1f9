//! Updating an object: read, change, check, write back; again when somebody else was faster and it is safe.

use kinds::strategy::Operation;
use kinds::write::TAKEN_AT_STATUS_UPDATE;
use meta::{Object, ObjectExt, StatusError};
use store::{Entry, Precondition, StoreError};

use super::metadata::Identity;
use super::{Ownership, Step, Written, admit, canonical, check, commit, create, invalid, metadata};
use crate::call::Call;
use crate::options::WriteOptions;
use crate::{ownership, stored};

/// Makes the new object from the stored one, both in the row's version; `None` when there is none.
///
/// The result carries a resource version only where the client named one.
pub(crate) trait Change: Send + Sync {
    /// The new object with the warnings that reading it earned.
    ///
    /// # Errors
    /// The change cannot be made.
    fn change(&self, old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError>;
    /// Whether an object that is not there is made.
    fn creates(&self) -> bool {
        false
    }
    /// What a uid in the new object means.
    fn identity(&self) -> Identity {
        Identity::Precondition
    }
    /// Who settles field ownership.
    fn ownership(&self) -> Ownership {
        Ownership::Recorded
    }
}

/// Updates the object of that name, through the call's subresource when it has one.
///
/// # Errors
/// Whatever refuses it on the way, as a Status.
pub(crate) async fn update(
    call: &Call,
    name: &str,
    options: &WriteOptions,
    change: &dyn Change,
) -> Result<Written, StatusError> {
    let kind = &call.kind;
    for _ in 0..call.server.config().limits.write_tries_max {
        let Some(entry) = call.stored(name).await? else {
            if !change.creates() || call.subresource().is_some() {
                return Err(call.not_found(name));
            }
            let (mut object, warnings) = change.change(None)?;
            check_identity(call, &object, name)
                .map_err(|error| call.refused(error, warnings.clone()))?;
            if !object.uid().is_empty() {
                return Err(no_such_uid(call, name, object.uid(), options, change));
            }
            object.remove(&["metadata", "resourceVersion"]);
            match create(call, object, options, warnings, change.ownership()).await {
                Err(error) if error.reason() == "AlreadyExists" => continue,
                result => return result,
            }
        };
        if let Some(written) = attempt(call, &entry, options, change).await? {
            return Ok(written);
        }
    }
    Err(StatusError::modified(&kind.group_resource(), name))
}

/// One try; `None` when somebody else wrote in between and the client did not insist on a version.
async fn attempt(
    call: &Call,
    entry: &Entry,
    options: &WriteOptions,
    change: &dyn Change,
) -> Result<Option<Written>, StatusError> {
    let kind = &call.kind;
    let old = stored::object(kind, entry)?;
    let (new, mut warnings) = change.change(Some(&old))?;
    check_identity(call, &new, old.name())
        .map_err(|error| call.refused(error, warnings.clone()))?;
    let is_conditional = !new.resource_version().is_empty() && new.resource_version() != "0";
    metadata::check_preconditions(
        &kind.group_resource(),
        &new,
        &old,
        kind,
        change.identity(),
        options.dry_run,
    )?;
    let turn = call.server.turn(kind, &call.info, Operation::Update).await;
    let new = match settle(call, new, &old, options, change, &mut warnings) {
        Ok(new) => new,
        Err(error) => return Err(call.refused(error, warnings)),
    };
    let unchanged = |object: Object| Written {
        object: wire::encode::bytes(&object).into(),
        is_new: false,
        warnings: Vec::new(),
    };
    if new == old {
        return Ok(Some(Written {
            object: stored::bytes(kind, entry)?,
            is_new: false,
            warnings,
        }));
    }
    if options.dry_run {
        return Ok(Some(Written {
            warnings,
            ..unchanged(new)
        }));
    }
    let is_finished = is_finished(call, &new);
    // What watchers see go is what was stored; the change itself never was.
    let step = if is_finished {
        Step::Delete(entry.revision, stored::encode(kind, &old))
    } else {
        let precondition = Precondition::Revision(entry.revision);
        Step::Put(precondition, stored::encode(kind, &new))
    };
    match commit(call, turn, entry.key.clone(), step).await {
        // Source: `registry.Store.deleteWithoutFinalizers`, which answers with the object in the request.
        Ok(_) if is_finished => Ok(Some(Written {
            warnings,
            ..unchanged(new)
        })),
        Ok(entry) => Ok(Some(Written {
            object: stored::bytes(kind, &entry)?,
            is_new: false,
            warnings,
        })),
        Err(StoreError::Conflict { .. } | StoreError::Missing { .. }) if !is_conditional => {
            Ok(None)
        }
        Err(error) => Err(stored::refusal(kind, &error)),
    }
}

/// Everything between the client's wish and the stored object.
fn settle(
    call: &Call,
    mut new: Object,
    old: &Object,
    options: &WriteOptions,
    change: &dyn Change,
    warnings: &mut Vec<String>,
) -> Result<Object, StatusError> {
    let kind = &call.kind;
    let name = old.name().to_owned();
    metadata::settle_namespace(kind, &mut new, &call.info.namespace)?;
    let is_admitted = call.info.verb == "patch";
    warnings.extend(metadata::single_owners(&mut new, is_admitted));
    kind.apply_defaults(&mut new);
    if change.ownership() == Ownership::Recorded {
        ownership::record(call, options, Some(old), &mut new);
    }
    let (mut new, more) = admit(
        call,
        Operation::Update,
        &name,
        new,
        Some(old),
        options.dry_run,
    )?;
    warnings.extend(more);
    metadata::keep(&mut new, old);
    let cluster = call.cluster();
    let context = call.context(Operation::Update, &cluster);
    match call.subresource() {
        None => {
            if kind.subresource("status").is_some() {
                copy(&mut new, old, "status");
            }
            kind.strategy.prepare_update(&mut new, old, &context);
        }
        Some("status") => {
            only_status(&mut new, old, kinds::write::fixed_at_status_update(kind));
            kind.strategy.prepare_subresource(&mut new, old, &context);
        }
        Some(_) => kind.strategy.prepare_subresource(&mut new, old, &context),
    }
    let mut new = canonical(call, new)?;
    // Source: `registry.Store.Update`, which allocates before it validates.
    kind.strategy.allocate(&mut new, Some(old), &context)?;
    if kind.strategy.has_generation()
        && call.subresource() != Some("status")
        && (kind.strategy.is_respecified(&new, old)
            || kind.strategy.counts_empty() && call.has_emptied())
    {
        new.set(&["metadata", "generation"], (old.generation() + 1).into());
    }
    new.set(
        &["metadata", "resourceVersion"],
        old.resource_version().into(),
    );
    let errors = call.wrong(&new, |new| {
        kinds::write::validate_update(kind, new, old, &context)
    });
    invalid(call, &name, &errors)?;
    // A scale is written with the rules of its parent.
    if matches!(call.subresource(), None | Some("scale")) {
        warnings.extend(kind.strategy.warnings(&new, Some(old)));
    }
    let (mut new, more) = check(
        call,
        Operation::Update,
        &name,
        new,
        Some(old),
        options.dry_run,
    )?;
    warnings.extend(more);
    patch::managed::keep_times_if_unchanged(old, &mut new);
    Ok(new)
}

/// An update says of itself where it goes, or nothing: first the namespace, then the name.
///
/// Source: apiserver `UpdateResource`, `patcher.applyPatch`.
pub(crate) fn check_identity(call: &Call, new: &Object, name: &str) -> Result<(), StatusError> {
    metadata::check_namespace(&call.kind, new, &call.info.namespace)?;
    check_name(new, name)
}

/// A body must have the name that the path has. Source: apiserver `checkName`.
pub(crate) fn check_name(new: &Object, name: &str) -> Result<(), StatusError> {
    let why = match new.name() {
        "" => format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ),
        given if given == name => return Ok(()),
        given => {
            format!("the name of the object ({given}) does not match the name on the URL ({name})")
        }
    };
    Err(StatusError::bad_request(why))
}

/// For an object that is not there, but was asked for by its uid.
///
/// Source: apiserver `applyPatcher.createNewObject`, and the preconditions of `storage.GuaranteedUpdate`.
fn no_such_uid(
    call: &Call,
    name: &str,
    uid: &str,
    options: &WriteOptions,
    change: &dyn Change,
) -> StatusError {
    let resource = call.kind.group_resource();
    if change.ownership() == Ownership::Applied {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return StatusError::conflict(&resource, name, &why);
    }
    let namespace = &call.info.namespace;
    metadata::other_uid(&resource, namespace, name, uid, "", options.dry_run)
}

/// Takes the status and the metadata of the new one, but for the fields in `fixed`, and the rest of the old one. What may
/// not change at all is left for validation to say.
fn only_status(new: &mut Object, old: &Object, fixed: &[&str]) {
    let mut kept = old.clone();
    copy(&mut kept, new, "status");
    for field in TAKEN_AT_STATUS_UPDATE.into_iter().chain(["managedFields"]) {
        if fixed.contains(&field) {
            continue;
        }
        match new.at(&["metadata", field]) {
            Some(value) => kept.set(&["metadata", field], value.clone()),
            None => {
                kept.remove(&["metadata", field]);
            }
        }
    }
    *new = kept;
}

fn copy(to: &mut Object, from: &Object, field: &str) {
    match from.get(field) {
        Some(value) => to.set(&[field], value.clone()),
        None => {
            to.remove(&[field]);
        }
    }
}

/// Whether the last thing that kept a deleted object is gone. Source: `ShouldDeleteDuringUpdate`.
fn is_finished(call: &Call, object: &Object) -> bool {
    object.deletion_timestamp().is_some()
        && object.finalizers().is_empty()
        && object
            .int_at(&["metadata", "deletionGracePeriodSeconds"])
            .unwrap_or_default()
            == 0
        && !call.kind.strategy.is_held(object)
}
