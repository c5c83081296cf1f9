//! Which metadata a write must have, and which it cannot change.

use meta::Path;

use crate::kind::Kind;

/// Kinds whose updates must name the version they were made from. Source: `AllowUnconditionalUpdate`.
const CONDITIONAL: [&str; 15] = [
    "RuntimeClass",
    "PodDisruptionBudget",
    "CSIDriver",
    "CSIStorageCapacity",
    "VolumeAttachment",
    "CSINode",
    "Lease",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "CustomResourceDefinition",
];

/// Whether an update of a whole object must have a resource version.
pub fn needs_version(kind: &Kind) -> bool {
    CONDITIONAL.contains(&kind.kind.as_ref())
}

/// Kinds whose objects a PUT creates when they are not there. Source: `AllowCreateOnUpdate`; verdicts are the status
/// layer's own.
const MADE_BY_UPDATE: [&str; 11] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "Endpoints",
    "Event",
    "Lease",
    "LimitRange",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Service",
    "Workload",
];

/// Whether a PUT to a name that does not exist creates the object.
pub fn allows_create_on_update(kind: &Kind) -> bool {
    MADE_BY_UPDATE.contains(&kind.kind.as_ref())
}

/// The metadata that a write of the status takes from the client, unless its kind keeps it (see
/// [`fixed_at_status_update`]); the uid is last, for fewer kinds keep that.
pub const TAKEN_AT_STATUS_UPDATE: [&str; 7] = [
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "uid",
];

/// What people give an object that a write of its status leaves alone. Source: `ResetObjectMetaForStatus`.
const GIVEN: &[&str] = TAKEN_AT_STATUS_UPDATE.split_at(6).0;

/// Fields that writes of a kind, through a subresource, never own. Source: each strategy's `GetResetFields`.
pub fn reset_fields(kind: &Kind, subresource: Option<&str>) -> Vec<Path> {
    let mut fields = kind.strategy.reset_fields(subresource);
    // Upstream has it as a comment for definitions.
    let is_owned = kind.kind == "CustomResourceDefinition";
    if subresource == Some("status") && keeps_what_is_given(kind) && !is_owned {
        fields.push(Path::new("metadata"));
    }
    fields
}

/// Whether a write of the status leaves all alone that people give an object.
fn keeps_what_is_given(kind: &Kind) -> bool {
    fixed_at_status_update(kind).starts_with(GIVEN)
}

/// The fields of metadata that a write of the status cannot change; most kinds let it change all.
///
/// Source: the `PrepareForUpdate` of each status strategy.
pub fn fixed_at_status_update(kind: &Kind) -> &'static [&'static str] {
    match kind.kind.as_ref() {
        "Deployment" => &["labels"],
        "Pod" => &["ownerReferences", "deletionTimestamp"],
        "APIService"
        | "CustomResourceDefinition"
        | "ResourceClaim"
        | "ServiceCIDR"
        | "ValidatingAdmissionPolicy"
        | "VolumeAttachment" => GIVEN,
        // Upstream keeps all of the old metadata.
        "FlowSchema" | "PriorityLevelConfiguration" => &TAKEN_AT_STATUS_UPDATE,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_named_here_is_there() {
        let registry = crate::builtin();
        let own = crate::workloads::rows();
        let is_known = |name: &str| {
            let rows = registry.rows().map(|row| &**row).chain(&own);
            rows.into_iter().any(|row| row.kind == name)
        };
        let named = CONDITIONAL.iter().chain(&MADE_BY_UPDATE);
        let unknown: Vec<_> = named.filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let fixed = registry.rows().filter(|row| keeps_what_is_given(row));
        assert_eq!(fixed.count(), 8);
    }
}
