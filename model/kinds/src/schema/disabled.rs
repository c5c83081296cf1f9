//! Fields of features that are off by default in 1.36: they are read, owned by who wrote them, and dropped before storing.

/// Type and field. Source: pkg/features, and `dropDisabledFields` of the strategies.
const FIELDS: [(&str, &str); 16] = [
    ("CSIDriverSpec", "preventPodSchedulingIfMissing"),
    ("Device", "nodeAllocatableResourceMappings"),
    ("DeviceAttribute", "bools"),
    ("DeviceAttribute", "ints"),
    ("DeviceAttribute", "strings"),
    ("DeviceAttribute", "versions"),
    // Kept in v1beta1 alone, which is not served.
    ("Endpoint", "deprecatedTopology"),
    ("LeaseSpec", "preferredHolder"),
    ("LeaseSpec", "strategy"),
    ("Lifecycle", "stopSignal"),
    ("PodSpec", "schedulingGroup"),
    ("PodStatus", "nodeAllocatableResourceClaimStatuses"),
    ("RollingUpdateStatefulSetStrategy", "maxUnavailable"),
    ("VolumeProjection", "clusterTrustBundle"),
    ("VolumeProjection", "podCertificate"),
    ("ContainerStatus", "stopSignal"),
];

/// Whether a field of a type (by Go's name, without package) is off.
pub(super) fn is_disabled(type_name: &str, field: &str) -> bool {
    FIELDS.contains(&(type_name, field))
}
