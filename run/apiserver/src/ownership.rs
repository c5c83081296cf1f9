//! Who owns which field: managedFields kept right by every write.

use meta::field::{FieldError, Path};
use meta::{GroupResource, Object, ObjectExt as _, StatusError};
use patch::managed::{self, Manager};

use crate::call::Call;
use crate::options::WriteOptions;

/// Records what a write other than an apply changed. Of a kind that one user alone writes there is nothing to tell.
pub(crate) fn record(call: &Call, options: &WriteOptions, live: Option<&Object>, new: &mut Object) {
    let kind = &call.kind;
    if kind.strategy.writer().is_some() {
        return;
    }
    let reset = kinds::write::reset_fields(kind, call.subresource());
    let manager = manager_as(call, options, &call.api_version);
    managed::update(live, new, &manager, &kind.schema, &reset);
}

/// The server as a client of itself.
const OWN_NAME: &str = "kube-apiserver";

/// Records what the server itself changed through a subresource of an object of another kind than the call's.
pub(crate) fn record_own(
    call: &Call,
    resource: &GroupResource,
    subresource: &str,
    live: &Object,
    new: &mut Object,
) {
    let rows = &call.server.config().registry;
    let kind = rows
        .rows()
        .find(|row| row.group_resource() == *resource && row.version == row.storage_version);
    if let Some(kind) = kind {
        let reset = kinds::write::reset_fields(kind, Some(subresource));
        let manager = Manager {
            name: OWN_NAME,
            api_version: live.api_version(),
            subresource,
            time: call.now,
        };
        managed::update(Some(live), new, &manager, &kind.schema, &reset);
    }
}

/// What only server-side apply needs, or may not have.
///
/// # Errors
/// A 422 naming the option. Source: `metav1/validation` `ValidatePatchOptions`.
pub(crate) fn check_options(options: &WriteOptions, is_apply: bool) -> Result<(), StatusError> {
    let mut errors = Vec::new();
    if is_apply && options.field_manager.is_empty() {
        errors.push(FieldError::required(
            &Path::new("fieldManager"),
            "is required for apply patch",
        ));
    }
    if !is_apply && options.force.is_some() {
        errors.push(FieldError::forbidden(
            &Path::new("force"),
            "may not be specified for non-apply patch",
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(StatusError::invalid(
            "meta.k8s.io",
            "PatchOptions",
            "",
            &errors,
        ))
    }
}

/// Longest manager name made from a user agent, in bytes. Source: `metav1/validation` `FieldManagerMaxLength`.
const MANAGER_BYTES_MAX: usize = 128;

/// The manager a request writes as, of fields in `api_version`: the name it gives, or its user agent up to the slash.
pub(crate) fn manager_as<'a>(
    call: &'a Call,
    options: &'a WriteOptions,
    api_version: &'a str,
) -> Manager<'a> {
    let agent = call.header(http::header::USER_AGENT).split('/').next();
    let agent = agent.unwrap_or_default();
    let name = if options.field_manager.is_empty() {
        agent.get(..MANAGER_BYTES_MAX).unwrap_or(agent)
    } else {
        options.field_manager.as_str()
    };
    Manager {
        name,
        api_version,
        subresource: &call.info.subresource,
        time: call.now,
    }
}
