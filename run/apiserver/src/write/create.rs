//! Creating an object.

use access::attributes::Attributes;
use http::StatusCode;
use kinds::strategy::Operation;
use meta::{Object, ObjectExt, StatusError};
use store::{Precondition, StoreError};

use super::{Ownership, Step, Written, admit, canonical, check, commit, invalid, metadata};
use crate::call::{Call, suffix};
use crate::options::WriteOptions;
use crate::{auth, ownership, stored};

/// Tries to find a free name from `generateName`. Source: apiserver `maxNameGenerationCreateAttempts`.
const NAME_TRIES_MAX: usize = 8;
/// Longest prefix of a generated name, in bytes; the rest is cut off. Source: `names.SimpleNameGenerator`.
const NAME_PREFIX_BYTES_MAX: usize = 58;

/// Creates an object from decoded input. `warnings` are those of decoding.
///
/// # Errors
/// Whatever refuses it on the way, as a Status.
pub(crate) async fn create(
    call: &Call,
    object: Object,
    options: &WriteOptions,
    mut warnings: Vec<String>,
    ownership: Ownership,
) -> Result<Written, StatusError> {
    let written = settled(call, object, options, &mut warnings, ownership).await;
    match written {
        Ok(object) => Ok(Written {
            object,
            is_new: true,
            warnings,
        }),
        Err(error) => Err(call.refused(error, warnings)),
    }
}

async fn settled(
    call: &Call,
    mut object: Object,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
    ownership: Ownership,
) -> Result<bytes::Bytes, StatusError> {
    let kind = &call.kind;
    metadata::wipe(&mut object);
    metadata::settle_namespace(kind, &mut object, &call.info.namespace)?;
    warnings.extend(metadata::single_owners(&mut object, false));
    let is_labelled = object
        .at(&["metadata", "labels"])
        .and_then(serde_json::Value::as_object)
        .is_some_and(|labels| !labels.is_empty());
    kind.apply_defaults(&mut object);
    if ownership == Ownership::Recorded {
        ownership::record(call, options, None, &mut object);
    }
    let requested = object.name().to_owned();
    let (object, more) = admit(
        call,
        Operation::Create,
        &requested,
        object,
        None,
        options.dry_run,
    )?;
    warnings.extend(more);
    if !requested.is_empty() {
        let named = prepare(call, object, is_labelled)?;
        return store(call, named, options, warnings).await;
    }
    for attempt in 1.. {
        let named = prepare(call, object.clone(), is_labelled)?;
        let is_generated = !named.name().is_empty();
        match store(call, named, options, warnings).await {
            Err(error)
                if error.reason() == "AlreadyExists"
                    && is_generated
                    && attempt < NAME_TRIES_MAX => {}
            result => return result,
        }
    }
    Err(StatusError::internal("no name could be generated"))
}

/// Names the object, fills in server-owned fields and lets the strategy prepare it.
fn prepare(call: &Call, mut object: Object, is_labelled: bool) -> Result<Object, StatusError> {
    let kind = &call.kind;
    metadata::fill(
        kind,
        &mut object,
        uuid::Uuid::new_v4().to_string(),
        call.now,
    );
    let prefix = object
        .str_at(&["metadata", "generateName"])
        .unwrap_or_default();
    if object.name().is_empty() && !prefix.is_empty() {
        let prefix = prefix.get(..NAME_PREFIX_BYTES_MAX).unwrap_or(prefix);
        let name = format!("{prefix}{}", suffix());
        object.set(&["metadata", "name"], name.into());
    }
    if kind.subresource("status").is_some() && !kind.strategy.keeps_status_on_create() {
        object.remove(&["status"]);
    }
    let cluster = call.cluster();
    let mut context = call.context(Operation::Create, &cluster);
    context.is_labelled = is_labelled;
    kind.strategy.prepare_create(&mut object, &context);
    canonical(call, object)
}

/// Allocates, validates and stores; answers with the object's bytes.
async fn store(
    call: &Call,
    mut object: Object,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<bytes::Bytes, StatusError> {
    let kind = &call.kind;
    let name = object.name().to_owned();
    let cluster = call.cluster();
    let context = call.context(Operation::Create, &cluster);
    let turn = call.server.turn(kind, &call.info, Operation::Create).await;
    // Source: `registry.Store.Create`, whose `BeginCreate` allocates before anything is validated.
    kind.strategy.allocate(&mut object, None, &context)?;
    let errors = call.wrong(&object, |object| {
        kinds::write::validate_create(kind, object, &context)
    });
    invalid(call, &name, &errors)?;
    warnings.extend(kind.strategy.warnings(&object, None));
    may_create(call)?;
    let (mut object, more) = check(
        call,
        Operation::Create,
        &name,
        object,
        None,
        options.dry_run,
    )?;
    warnings.extend(more);
    kind.strategy.fill_stored(&mut object);
    if options.dry_run {
        return match call.stored(&name).await? {
            Some(entry) => Err(taken(call, &name, &stored::object(kind, &entry)?)),
            None => Ok(wire::encode::bytes(&object).into()),
        };
    }
    // Upstream's storage asks this last, and takes a text that is no number for nothing. Source: `store.Create`.
    let version = object.resource_version();
    let is_number = version.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && version.parse::<u64>().is_ok_and(|version| version != 0) {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(StatusError::new(500, "", why));
    }
    let key = stored::key(kind, &call.info.namespace, &name);
    let encoded = stored::encode(kind, &object);
    let step = Step::Put(Precondition::Absent, encoded);
    match commit(call, turn, key, step).await {
        Ok(entry) => stored::bytes(kind, &entry),
        Err(StoreError::Exists { .. }) => {
            let entry = call.stored(&name).await?;
            let object = entry
                .map(|entry| stored::object(kind, &entry))
                .transpose()?;
            Err(taken(call, &name, &object.unwrap_or_default()))
        }
        Err(error) => Err(stored::refusal(kind, &error)),
    }
}

/// A PUT or PATCH that makes the object wants the right to create it, too. Source: apiserver `withAuthorization`.
fn may_create(call: &Call) -> Result<(), StatusError> {
    if call.info.verb == "create" {
        return Ok(());
    }
    let request = Attributes {
        verb: "create".into(),
        ..auth::attributes(&call.user, &call.info)
    };
    auth::allow(&call.server, &request)
}

/// 409 for a name that an object has, or still has. Source: `rest.CheckGeneratedNameError`, `Store.Create`.
fn taken(call: &Call, name: &str, present: &Object) -> StatusError {
    let mut error = StatusError::already_exists(&call.kind.group_resource(), name);
    if present.deletion_timestamp().is_some() {
        error.0.message = format!("object is being deleted: {}", error.0.message);
    }
    error
}

impl Written {
    /// 201 for a new object, 200 for one that was there.
    pub(crate) fn code(&self) -> StatusCode {
        if self.is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        }
    }
}
