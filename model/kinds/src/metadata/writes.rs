//! Which metadata a write must have, and which it cannot change.

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

/// What people give an object that a write of its status leaves alone. Source: `ResetObjectMetaForStatus`.
const GIVEN: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// The fields of metadata that a write of the status cannot change; most kinds let it change all.
///
/// Source: the `PrepareForUpdate` of each status strategy.
pub fn fixed_at_status_update(kind: &Kind) -> &'static [&'static str] {
    match kind.kind.as_ref() {
        "Deployment" => &["labels"],
        "Pod" => &["ownerReferences"],
        "APIService"
        | "CustomResourceDefinition"
        | "FlowSchema"
        | "PriorityLevelConfiguration"
        | "ResourceClaim"
        | "ServiceCIDR"
        | "ValidatingAdmissionPolicy"
        | "VolumeAttachment" => &GIVEN,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_named_here_is_there() {
        let registry = crate::builtin();
        let is_known = |name: &str| registry.rows().any(|row| row.kind == name);
        assert!(CONDITIONAL.iter().all(|name| is_known(name)));
        let fixed = registry
            .rows()
            .filter(|row| fixed_at_status_update(row) == GIVEN);
        assert_eq!(fixed.count(), 8);
    }
}
