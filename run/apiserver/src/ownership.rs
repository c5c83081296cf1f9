//! Who owns which field: managedFields kept right by every write.

use meta::field::{FieldError, Path};
use meta::{Object, StatusError};
use patch::managed::{self, Manager};
use serde_json::Value;

use crate::call::Call;
use crate::options::WriteOptions;

/// Records what a write other than an apply changed.
pub(crate) fn record(call: &Call, options: &WriteOptions, live: Option<&Object>, new: &mut Object) {
    let kind = &call.kind;
    let reset = kind.strategy.reset_fields(call.subresource());
    managed::update(live, new, &manager(call, options), &kind.schema, &reset);
}

/// Merges an applied configuration into the live object, or makes the object it describes.
///
/// # Errors
/// Another manager owns a field (409), or the configuration does not fit the type.
pub(crate) fn apply(
    call: &Call,
    options: &WriteOptions,
    live: Option<&Object>,
    config: &Value,
) -> Result<Object, StatusError> {
    let kind = &call.kind;
    let reset = kind.strategy.reset_fields(call.subresource());
    let force = options.force.unwrap_or_default();
    managed::apply(
        live,
        config,
        &kind.gvk(),
        &manager(call, options),
        force,
        &kind.schema,
        &reset,
    )
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

/// The manager a request writes as: the name it gives, or its user agent up to the slash.
fn manager<'a>(call: &'a Call, options: &'a WriteOptions) -> Manager<'a> {
    let agent = call
        .header(http::header::USER_AGENT)
        .split('/')
        .next()
        .unwrap_or_default();
    let name = if options.field_manager.is_empty() {
        agent
    } else {
        options.field_manager.as_str()
    };
    Manager {
        name,
        api_version: &call.api_version,
        subresource: &call.info.subresource,
        time: call.now,
    }
}
