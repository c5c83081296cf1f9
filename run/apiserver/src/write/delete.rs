//! Deleting an object: at once, after a grace period, or when its finalizers are done.

use jiff::{SignedDuration, Timestamp};
use kinds::strategy::{Deletion, Operation};
use meta::{GroupResource, Object, ObjectExt, StatusError};
use serde_json::Value;
use store::{Entry, Precondition, StoreError};

use super::{Step, commit};
use crate::call::Call;
use crate::options::{DeleteOptions, Propagation};
use crate::stored;

/// Waits for the garbage collector to let dependents go. Source: `metav1.FinalizerOrphanDependents`.
const ORPHAN: &str = "orphan";
/// Waits for the garbage collector to delete dependents. Source: `metav1.FinalizerDeleteDependents`.
const FOREGROUND: &str = "foregroundDeletion";

/// A delete that was carried out (or would have been, when dry).
pub(crate) struct Deleted {
    /// The last state, in the row's version.
    pub(crate) object: bytes::Bytes,
    /// Whether the object is gone, as opposed to waiting for its end.
    pub(crate) is_gone: bool,
    /// Uid of the object.
    pub(crate) uid: String,
}

/// Deletes the object of that name.
///
/// # Errors
/// It is not there, a precondition fails, or something refuses.
pub(crate) async fn delete(
    call: &Call,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deleted, StatusError> {
    for _ in 0..call.server.config().limits.write_tries_max {
        let entry = call.stored(name).await?;
        let entry = entry.ok_or_else(|| call.not_found(name))?;
        if let Some(deleted) = attempt(call, &entry, options).await? {
            return Ok(deleted);
        }
    }
    Err(StatusError::modified(&call.kind.group_resource(), name))
}

/// One try; `None` when somebody else wrote in between.
async fn attempt(
    call: &Call,
    entry: &Entry,
    options: &DeleteOptions,
) -> Result<Option<Deleted>, StatusError> {
    let kind = &call.kind;
    let old = stored::object(kind, entry)?;
    check_preconditions(call, &old, options)?;
    // A subresource that deletes has been through admission as itself.
    if call.info.subresource.is_empty() {
        let dry_run = options.dry_run;
        let mut request = call.admission(Operation::Delete, old.name(), None, Some(&old), dry_run);
        call.admit(&mut request)?;
        call.validate(&request)?;
    }
    let marked = mark(call, &old, options);
    let uid = old.uid().to_owned();
    let answer = |object, is_gone| {
        Ok(Some(Deleted {
            object,
            is_gone,
            uid: uid.clone(),
        }))
    };
    let next = match marked {
        Next::Nothing => return answer(stored::bytes(kind, entry)?, false),
        next if options.dry_run => {
            let (object, is_gone) = match next {
                Next::Keep(object) => (object, false),
                Next::Remove(object) => (object, true),
                Next::Nothing => (old, false),
            };
            return answer(wire::encode::bytes(&object).into(), is_gone);
        }
        next => next,
    };
    let (step, is_gone) = if let Next::Keep(object) = &next {
        let precondition = Precondition::Revision(entry.revision);
        (Step::Put(precondition, stored::encode(kind, object)), false)
    } else {
        let last = match &next {
            Next::Remove(object) => object,
            Next::Keep(_) | Next::Nothing => &old,
        };
        (
            Step::Delete(entry.revision, stored::encode(kind, last)),
            true,
        )
    };
    match commit(call, None, entry.key.clone(), step).await {
        Ok(entry) => answer(stored::bytes(kind, &entry)?, is_gone),
        Err(StoreError::Conflict { .. } | StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(stored::refusal(kind, &error)),
    }
}

fn check_preconditions(
    call: &Call,
    old: &Object,
    options: &DeleteOptions,
) -> Result<(), StatusError> {
    if call.kind.strategy.compares_preconditions() {
        return check_as_stored(call, old, options);
    }
    // Source: `rest.BeforeDelete`, which names the kind where others name the resource.
    let conflict = |what: &str, wanted: &str, found: &str| {
        let how = if what == "UID" {
            "deleted and then recreated"
        } else {
            "modified"
        };
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {how}"
        );
        let subject = GroupResource {
            group: call.kind.group.to_string(),
            resource: call.kind.kind.to_string(),
        };
        Err(StatusError::conflict(&subject, old.name(), &why))
    };
    match (&options.uid, &options.resource_version) {
        (Some(uid), _) if uid != old.uid() => conflict("UID", uid, old.uid()),
        (_, Some(version)) if version != old.resource_version() => {
            conflict("ResourceVersion", version, old.resource_version())
        }
        _ => Ok(()),
    }
}

/// Source: `registry/core/namespace/storage` `Delete`, which compares what upstream's storage would, in its words.
fn check_as_stored(call: &Call, old: &Object, options: &DeleteOptions) -> Result<(), StatusError> {
    let asked = [
        ("UID", &options.uid, old.uid()),
        (
            "ResourceVersion",
            &options.resource_version,
            old.resource_version(),
        ),
    ];
    for (what, wanted, found) in asked {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            );
            return Err(StatusError::conflict(
                &call.kind.group_resource(),
                old.name(),
                &why,
            ));
        }
    }
    Ok(())
}

/// What a delete does to an object.
enum Next {
    /// It waits already, and need not wait less.
    Nothing,
    /// It is kept in this form until its end.
    Keep(Object),
    /// It goes; this is its last state.
    Remove(Object),
}

/// Source: `rest.BeforeDelete` and `registry.Store.Delete`.
///
/// DIFFERS: upstream writes the end of a pod that waits no longer before it deletes it, which watchers see as one more
/// change; here it goes in one write.
fn mark(call: &Call, old: &Object, options: &DeleteOptions) -> Next {
    let strategy = &call.kind.strategy;
    let (grace, is_graceful) = match strategy.deletion(old, options.grace_seconds) {
        Deletion::Now => (0, false),
        Deletion::Graceful { seconds } => (seconds.max(0), true),
    };
    let waits = old.int_at(&["metadata", "deletionGracePeriodSeconds"]);
    let is_pending = is_graceful && old.deletion_timestamp().is_some();
    if is_pending && waits.is_some_and(|waits| options.grace_seconds.is_none_or(|_| grace >= waits))
    {
        return Next::Nothing;
    }
    let finalizers = finalizers(call, old, options.propagation);
    let is_kept = !finalizers.is_empty() || strategy.is_held(old) || grace > 0;
    let mut new = old.clone();
    if !is_kept {
        if is_graceful {
            set_end(&mut new, old, grace, call.now);
        }
        return Next::Remove(new);
    }
    set_finalizers(&mut new, &finalizers);
    let is_sooner = waits.is_some_and(|waits| grace < waits);
    if old.deletion_timestamp().is_none() || is_sooner {
        set_end(&mut new, old, grace, call.now);
        strategy.mark_deleted(&mut new);
    }
    if new == *old {
        Next::Nothing
    } else {
        Next::Keep(new)
    }
}

/// Says when an object goes, and that it was asked to.
fn set_end(new: &mut Object, old: &Object, grace: i64, now: Timestamp) {
    let waits = old.int_at(&["metadata", "deletionGracePeriodSeconds"]);
    let end = end(old, waits, grace, now);
    new.set(
        &["metadata", "deletionTimestamp"],
        meta::time::to_rfc3339(end).into(),
    );
    new.set(&["metadata", "deletionGracePeriodSeconds"], grace.into());
    // Source: `rest.BeforeDelete`, which counts the first request alone.
    if old.deletion_timestamp().is_none() && old.generation() > 0 {
        new.set(&["metadata", "generation"], (old.generation() + 1).into());
    }
}

/// When the grace period ends: from now, or, when it is shortened, from when it began.
fn end(old: &Object, waits: Option<i64>, grace: i64, now: Timestamp) -> Timestamp {
    let present = old.deletion_timestamp().and_then(meta::time::from_rfc3339);
    let begun = present
        .zip(waits)
        .map(|(end, waits)| end - SignedDuration::from_secs(waits));
    let end = begun.unwrap_or(now) + SignedDuration::from_secs(grace);
    if begun.is_some() { end.max(now) } else { end }
}

/// The finalizers a deletion leaves on an object. Source: `deletionFinalizersForGarbageCollection`.
fn finalizers(call: &Call, old: &Object, wanted: Option<Propagation>) -> Vec<String> {
    let present = old.finalizers();
    let (mut orphan, mut foreground) = (present.contains(&ORPHAN), present.contains(&FOREGROUND));
    match wanted {
        Some(wanted) => {
            orphan = wanted == Propagation::Orphan;
            foreground = wanted == Propagation::Foreground;
        }
        None => orphan |= !foreground && call.kind.strategy.orphans_by_default(),
    }
    let others = present
        .iter()
        .filter(|name| !matches!(**name, ORPHAN | FOREGROUND))
        .map(|name| (*name).to_owned());
    let mut finalizers: Vec<String> = others.collect();
    finalizers.extend(orphan.then(|| ORPHAN.to_owned()));
    finalizers.extend(foreground.then(|| FOREGROUND.to_owned()));
    finalizers
}

fn set_finalizers(object: &mut Object, finalizers: &[String]) {
    if finalizers.is_empty() {
        object.remove(&["metadata", "finalizers"]);
    } else {
        let finalizers: Vec<Value> = finalizers.iter().map(|name| name.clone().into()).collect();
        object.set(&["metadata", "finalizers"], finalizers.into());
    }
}
