//! Built-in admission: may this write pass, and in which form. One file per plugin, in upstream's order.
//!
//! Source: `pkg/kubeapiserver/options/plugins.go` for the order and for which are on by default.

mod default_storage_class;
mod default_toleration_seconds;
mod namespace_lifecycle;
mod priority;
mod service_account;
mod storage_protection;

use jiff::Timestamp;
use kinds::strategy::{Lookup, Operation, User};
use meta::{GroupResource, Object, StatusError};

/// One write, as admission sees it.
pub struct Request<'a> {
    /// Who writes.
    pub user: &'a User,
    /// What the write is.
    pub operation: Operation,
    /// The resource written.
    pub resource: GroupResource,
    /// The version it is written in.
    pub version: String,
    /// The kind written.
    pub kind: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name; empty while `generateName` is not resolved.
    pub name: String,
    /// The new object; `None` for deletes.
    pub object: Option<Object>,
    /// The stored object; `None` for creates.
    pub old: Option<Object>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The time of the request.
    pub now: Timestamp,
    /// Five characters for generated names; a fact, so that tests repeat.
    pub suffix: String,
    /// Warnings to send to the client; plugins add to them.
    pub warnings: Vec<String>,
}

impl Request<'_> {
    /// Whether this is a write of the object itself to that resource (`plural` or `plural.group`).
    pub fn is_for(&self, resource: &str, operations: &[Operation]) -> bool {
        self.subresource.is_empty()
            && operations.contains(&self.operation)
            && self.resource.to_string() == resource
    }
    /// Upstream's `NewForbidden`.
    pub fn forbidden(&self, why: &str) -> StatusError {
        StatusError::forbidden(&self.resource, &self.name, why)
    }
}

/// One plugin; each half defaults to letting everything pass.
trait Plugin: Sync {
    /// Changes the object, or refuses.
    fn admit(&self, _request: &mut Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        Ok(())
    }
    /// Refuses what must not pass, after all changes.
    fn validate(&self, _request: &Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        Ok(())
    }
}

/// The plugins that are on, in upstream's order.
const PLUGINS: &[&dyn Plugin] = &[
    &namespace_lifecycle::NamespaceLifecycle,
    &service_account::ServiceAccount,
    &priority::Priority,
    &default_toleration_seconds::DefaultTolerationSeconds,
    &default_storage_class::DefaultStorageClass,
    &storage_protection::StorageObjectInUseProtection,
];

/// Runs the mutating halves.
///
/// # Errors
/// The first plugin's refusal.
pub fn admit(request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
    PLUGINS
        .iter()
        .try_for_each(|plugin| plugin.admit(request, cluster))
}

/// Runs the validating halves.
///
/// # Errors
/// The first plugin's refusal.
pub fn validate(request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
    PLUGINS
        .iter()
        .try_for_each(|plugin| plugin.validate(request, cluster))
}

#[cfg(test)]
mod tests;
