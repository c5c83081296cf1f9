//! Built-in admission: may this write pass, and in which form. One file per plugin, in upstream's order.
//!
//! Source: `pkg/kubeapiserver/options/plugins.go` for the order and for which are on by default.

mod certificates;
mod default_ingress_class;
mod default_storage_class;
mod default_toleration_seconds;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod persistent_volume_claim_resize;
mod pod_resize;
mod pod_security;
mod pod_topology_labels;
mod priority;
mod resource_quota;
mod runtime_class;
mod service_account;
mod storage_protection;
mod taint_nodes_by_condition;

use std::sync::Arc;

use jiff::Timestamp;
use kinds::strategy::{Lookup, Operation, User};
use meta::{GroupResource, Object, StatusError};

use crate::rbac::{Policy, escalation};

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
    /// What the name of a new object will begin with; empty when it has a name.
    pub prefix: String,
    /// The new object; `None` for deletes.
    pub object: Option<Object>,
    /// The stored object; `None` for creates.
    pub old: Option<&'a Object>,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// Who may do what, for plugins that ask about more than the write itself.
    pub policy: Arc<Policy>,
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
        self.subresource.is_empty() && operations.contains(&self.operation) && self.is_of(resource)
    }
    /// Whether this is a write to that resource (`plural` or `plural.group`), through whatever subresource.
    pub fn is_of(&self, resource: &str) -> bool {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        self.resource.resource == plural && self.resource.group == group
    }
    /// Upstream's `admission.NewForbidden`: who has no name yet is called by what it will begin with.
    pub fn forbidden(&self, why: &str) -> StatusError {
        let mut names = [&self.name, &self.prefix].into_iter();
        let name = names.find(|name| !name.is_empty());
        let name = name.map_or("Unknown", String::as_str);
        StatusError::forbidden(&self.resource, name, why)
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
    /// Warnings about what passes.
    fn warnings(&self, _request: &Request<'_>, _cluster: &dyn Lookup) -> Vec<String> {
        Vec::new()
    }
    /// What the audit log is told, by key, whether the write passes or not.
    fn annotations(
        &self,
        _request: &Request<'_>,
        _cluster: &dyn Lookup,
    ) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The halves of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// What changes objects.
    Admit,
    /// What refuses them.
    Validate,
}

/// A plugin that is on.
struct Installed {
    /// What upstream calls it.
    name: &'static str,
    /// Of which writes it is asked.
    operations: &'static [Operation],
    /// Which halves it has.
    halves: &'static [Half],
    plugin: &'static dyn Plugin,
}

const CREATE: &[Operation] = &[Operation::Create];
const UPDATE: &[Operation] = &[Operation::Update];
const CREATE_UPDATE: &[Operation] = &[Operation::Create, Operation::Update];
const WRITES: &[Operation] = &[Operation::Create, Operation::Update, Operation::Delete];
const ADMIT: &[Half] = &[Half::Admit];
const VALIDATE: &[Half] = &[Half::Validate];
const BOTH: &[Half] = &[Half::Admit, Half::Validate];

/// The plugins that are on, in upstream's order, with the operations for which upstream asks them.
const PLUGINS: &[Installed] = &[
    on(
        "NamespaceLifecycle",
        WRITES,
        ADMIT,
        &namespace_lifecycle::NamespaceLifecycle,
    ),
    on(
        "LimitRanger",
        CREATE_UPDATE,
        BOTH,
        &limit_ranger::LimitRanger,
    ),
    on(
        "ServiceAccount",
        CREATE_UPDATE,
        BOTH,
        &service_account::ServiceAccount,
    ),
    on(
        "NodeRestriction",
        WRITES,
        ADMIT,
        &node_restriction::NodeRestriction,
    ),
    on(
        "TaintNodesByCondition",
        CREATE,
        ADMIT,
        &taint_nodes_by_condition::TaintNodesByCondition,
    ),
    on(
        "PodSecurity",
        CREATE_UPDATE,
        VALIDATE,
        &pod_security::PodSecurity,
    ),
    on("Priority", WRITES, BOTH, &priority::Priority),
    on(
        "DefaultTolerationSeconds",
        CREATE_UPDATE,
        ADMIT,
        &default_toleration_seconds::DefaultTolerationSeconds,
    ),
    on(
        "DefaultStorageClass",
        CREATE,
        ADMIT,
        &default_storage_class::DefaultStorageClass,
    ),
    on(
        "StorageObjectInUseProtection",
        CREATE,
        ADMIT,
        &storage_protection::StorageObjectInUseProtection,
    ),
    on(
        "PersistentVolumeClaimResize",
        UPDATE,
        VALIDATE,
        &persistent_volume_claim_resize::PersistentVolumeClaimResize,
    ),
    on("RuntimeClass", CREATE, BOTH, &runtime_class::RuntimeClass),
    on(
        "CertificateApproval",
        UPDATE,
        VALIDATE,
        &certificates::CertificateApproval,
    ),
    on(
        "CertificateSigning",
        UPDATE,
        VALIDATE,
        &certificates::CertificateSigning,
    ),
    on(
        "CertificateSubjectRestriction",
        CREATE,
        VALIDATE,
        &certificates::CertificateSubjectRestriction,
    ),
    on(
        "DefaultIngressClass",
        CREATE,
        ADMIT,
        &default_ingress_class::DefaultIngressClass,
    ),
    on(
        "PodTopologyLabels",
        CREATE,
        ADMIT,
        &pod_topology_labels::PodTopologyLabels,
    ),
    on(
        "PodResizeValidator",
        UPDATE,
        VALIDATE,
        &pod_resize::PodResize,
    ),
    on(
        "ResourceQuota",
        CREATE_UPDATE,
        VALIDATE,
        &resource_quota::ResourceQuota,
    ),
];

const fn on(
    name: &'static str,
    operations: &'static [Operation],
    halves: &'static [Half],
    plugin: &'static dyn Plugin,
) -> Installed {
    Installed {
        name,
        operations,
        halves,
        plugin,
    }
}

/// Told of each plugin that was asked, by upstream's name, and whether it refused.
pub type Asked<'a> = &'a mut dyn FnMut(&'static str, bool);

/// The plugins that are asked in a half of such a write.
fn asked(half: Half, operation: Operation) -> impl Iterator<Item = &'static Installed> {
    PLUGINS.iter().filter(move |installed| {
        installed.halves.contains(&half) && installed.operations.contains(&operation)
    })
}

/// Runs the mutating halves, then the check that nobody hands out more rights than they hold.
///
/// # Errors
/// The first plugin's refusal.
pub fn admit(
    request: &mut Request<'_>,
    cluster: &dyn Lookup,
    told: Asked<'_>,
) -> Result<(), StatusError> {
    for installed in asked(Half::Admit, request.operation) {
        let outcome = installed.plugin.admit(request, cluster);
        told(installed.name, outcome.is_err());
        outcome?;
    }
    escalation::check(request)
}

/// Runs the validating halves; answers with warnings for the client.
///
/// # Errors
/// The first plugin's refusal.
pub fn validate(
    request: &Request<'_>,
    cluster: &dyn Lookup,
    told: Asked<'_>,
) -> Result<Vec<String>, StatusError> {
    for installed in asked(Half::Validate, request.operation) {
        let outcome = installed.plugin.validate(request, cluster);
        told(installed.name, outcome.is_err());
        outcome?;
    }
    let warnings = PLUGINS.iter();
    Ok(warnings
        .flat_map(|installed| installed.plugin.warnings(request, cluster))
        .collect())
}

/// What the plugins tell the audit log of a write that comes to their validating halves.
pub fn annotations(request: &Request<'_>, cluster: &dyn Lookup) -> Vec<(&'static str, String)> {
    let plugins = PLUGINS.iter();
    plugins
        .flat_map(|installed| installed.plugin.annotations(request, cluster))
        .collect()
}

#[cfg(test)]
mod tests;
