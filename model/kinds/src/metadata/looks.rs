//! How often upstream looks at the metadata of a changed object: each look reports what it finds, so that clients see
//! some mistakes twice or more.

use meta::{FieldError, Object};

use super::{changed, standard_finalizers, whole};
use crate::kind::Kind;

/// A look at the metadata.
#[derive(Clone, Copy)]
enum Look {
    /// At what may not change, and at the finalizers. Source: core `ValidateObjectMetaUpdate`.
    Change,
    /// At everything, finalizers twice. Source: core `ValidateObjectMeta`.
    Whole,
    /// At what may not change. Source: apimachinery `ValidateObjectMetaUpdate`.
    PlainChange,
    /// At everything. Source: apimachinery `ValidateObjectMeta`.
    PlainWhole,
}

/// The looks of the kinds' own rules that take more, or others, than the one at the change.
const LOOKS: [(&[Look], &[&str]); 6] = [
    (
        &[Look::Change, Look::Whole],
        &[
            "Pod",
            "ControllerRevision",
            "Job",
            "Endpoints",
            "ConfigMap",
            "Secret",
            "ServiceAccount",
            "PersistentVolumeClaim",
            "Node",
            "Namespace",
            "Ingress",
            "IngressClass",
            "IPAddress",
            "Role",
            "ClusterRole",
            "RoleBinding",
            "ClusterRoleBinding",
            "StorageClass",
            "CSIStorageCapacity",
            "VolumeAttributesClass",
            "DeviceClass",
            "ResourceClaim",
            "ResourceClaimTemplate",
            "CertificateSigningRequest",
        ],
    ),
    (
        &[Look::Whole],
        &[
            "LimitRange",
            "EndpointSlice",
            "VolumeAttachment",
            "CSINode",
            "FlowSchema",
            "PriorityLevelConfiguration",
        ],
    ),
    (&[Look::Whole, Look::Whole], &["PersistentVolume"]),
    (
        &[Look::PlainChange, Look::PlainWhole],
        &["RuntimeClass", "APIService", "CustomResourceDefinition"],
    ),
    (&[Look::PlainChange], &["Lease"]),
    (
        &[Look::PlainWhole],
        &[
            "ValidatingWebhookConfiguration",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
        ],
    ),
];

/// What is wrong with the metadata of a changed object.
///
/// Source: `rest.BeforeUpdate`, then the `ValidateUpdate` of each strategy.
pub(crate) fn of_change(
    kind: &Kind,
    new: &Object,
    old: &Object,
    subresource: Option<&str>,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    whole(kind, new, &mut errors);
    errors.extend(changed(new, old));
    for look in looks(kind, subresource) {
        match look {
            Look::Change | Look::PlainChange => errors.extend(changed(new, old)),
            Look::Whole | Look::PlainWhole => whole(kind, new, &mut errors),
        }
        if matches!(look, Look::Change | Look::Whole) {
            errors.extend(standard_finalizers(new));
        }
    }
    errors
}

fn looks(kind: &Kind, subresource: Option<&str>) -> &'static [Look] {
    if subresource == Some("status") {
        return &[Look::Change];
    }
    if kind.kind == "PodDisruptionBudget" || (kind.kind == "Event" && kind.group.is_empty()) {
        return &[];
    }
    let name = kind.kind.as_ref();
    let found = LOOKS.iter().find(|(_, kinds)| kinds.contains(&name));
    found.map_or(&[Look::Change], |(looks, _)| looks)
}
