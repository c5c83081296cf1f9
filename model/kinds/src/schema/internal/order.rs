//! Where upstream's internal types hold fields elsewhere, or in another order, than those on the wire.

use std::borrow::Cow;

use serde_json::Value;

use crate::edit::Edit as _;
use crate::schema::{Field, StructType, TypeGraph};

const POD_SPEC: &str = "io.k8s.api.core.v1.PodSpec";
const POD_SECURITY_CONTEXT: &str = "io.k8s.api.core.v1.PodSecurityContext";

/// Fields of the pod spec that stand first in its security context. Source: pkg/apis/core/types.go.
const IN_SECURITY_CONTEXT: [&str; 5] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "hostUsers",
];

/// Fields that internal types do not have: the types and the names on the wire.
const DROPPED: [(&str, &str); 4] = [
    (POD_SPEC, "serviceAccount"),
    ("io.k8s.api.core.v1.NodeSpec", "podCIDR"),
    ("io.k8s.api.core.v1.PodStatus", "podIP"),
    ("io.k8s.api.core.v1.Secret", "stringData"),
];

/// Go's names of all fields, where their order is another. Source: pkg/apis/*/types.go.
const ORDERS: [(&str, &str); 11] = [
    (
        POD_SPEC,
        "Volumes InitContainers Containers EphemeralContainers RestartPolicy \
         TerminationGracePeriodSeconds ActiveDeadlineSeconds DNSPolicy NodeSelector ServiceAccountName \
         AutomountServiceAccountToken NodeName SecurityContext ImagePullSecrets Hostname Subdomain \
         SetHostnameAsFQDN Affinity SchedulerName Tolerations HostAliases PriorityClassName Priority \
         PreemptionPolicy DNSConfig ReadinessGates RuntimeClassName Overhead EnableServiceLinks \
         TopologySpreadConstraints OS SchedulingGates ResourceClaims Resources HostnameOverride \
         SchedulingGroup",
    ),
    (
        POD_SECURITY_CONTEXT,
        "SELinuxOptions WindowsOptions RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups \
         SupplementalGroupsPolicy FSGroup FSGroupChangePolicy Sysctls SeccompProfile AppArmorProfile \
         SELinuxChangePolicy",
    ),
    (
        "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicySpec",
        "ParamKind MatchConstraints Validations MatchConditions FailurePolicy AuditAnnotations Variables",
    ),
    (
        "io.k8s.api.autoscaling.v2.ContainerResourceMetricSource",
        "Name Container Target",
    ),
    (
        "io.k8s.api.autoscaling.v2.ContainerResourceMetricStatus",
        "Name Container Current",
    ),
    (
        "io.k8s.api.batch.v1.JobSpec",
        "Parallelism Completions PodFailurePolicy SuccessPolicy ActiveDeadlineSeconds BackoffLimit \
         BackoffLimitPerIndex MaxFailedIndexes Selector ManualSelector Template TTLSecondsAfterFinished \
         CompletionMode Suspend PodReplacementPolicy ManagedBy",
    ),
    (
        "io.k8s.api.batch.v1.JobStatus",
        "Conditions StartTime CompletionTime Active Terminating Ready Succeeded Failed CompletedIndexes \
         FailedIndexes UncountedTerminatedPods",
    ),
    (
        "io.k8s.api.core.v1.PersistentVolumeSpec",
        "Capacity GCEPersistentDisk AWSElasticBlockStore HostPath Glusterfs NFS RBD Quobyte ISCSI \
         FlexVolume Cinder CephFS FC Flocker AzureFile VsphereVolume AzureDisk PhotonPersistentDisk \
         PortworxVolume ScaleIO Local StorageOS CSI AccessModes ClaimRef PersistentVolumeReclaimPolicy \
         StorageClassName MountOptions VolumeMode NodeAffinity VolumeAttributesClassName",
    ),
    (
        "io.k8s.api.core.v1.ServiceSpec",
        "Type Ports Selector ClusterIP ClusterIPs IPFamilies IPFamilyPolicy ExternalName ExternalIPs \
         LoadBalancerIP SessionAffinity SessionAffinityConfig LoadBalancerSourceRanges \
         ExternalTrafficPolicy HealthCheckNodePort PublishNotReadyAddresses AllocateLoadBalancerNodePorts \
         LoadBalancerClass InternalTrafficPolicy TrafficDistribution",
    ),
    (
        "io.k8s.api.core.v1.Volume",
        "Name HostPath EmptyDir GCEPersistentDisk AWSElasticBlockStore GitRepo Secret NFS ISCSI Glusterfs \
         PersistentVolumeClaim RBD Quobyte FlexVolume Cinder CephFS Flocker DownwardAPI FC AzureFile \
         ConfigMap VsphereVolume AzureDisk PhotonPersistentDisk Projected PortworxVolume ScaleIO \
         StorageOS CSI Ephemeral Image",
    ),
    (
        "io.k8s.api.storage.v1.CSIDriverSpec",
        "AttachRequired FSGroupPolicy PodInfoOnMount VolumeLifecycleModes StorageCapacity TokenRequests \
         RequiresRepublish SELinuxMount NodeAllocatableUpdatePeriodSeconds ServiceAccountTokenInSecrets \
         PreventPodSchedulingIfMissing",
    ),
];

/// The fields of a struct as the internal type declares them.
pub(super) fn fields<'a>(graph: &'a TypeGraph, item: &'a StructType) -> Vec<&'a Field> {
    let has = |field: &Field| {
        let dropped = (item.name.as_str(), field.name.as_str());
        let is_moved = item.name == POD_SPEC && IN_SECURITY_CONTEXT.contains(&dropped.1);
        !is_moved
            && !DROPPED.contains(&dropped)
            && field.embedded.first().is_none_or(|of| of != "TypeMeta")
    };
    let mut fields: Vec<&Field> = item.fields.iter().filter(|field| has(field)).collect();
    match ORDERS.iter().find(|(name, _)| *name == item.name) {
        Some((_, names)) => {
            let names: Vec<&str> = names.split_whitespace().collect();
            fields.sort_by_key(|field| names.iter().position(|name| *name == field.go_name));
        }
        None => fields.sort_by_key(|field| field.order),
    }
    if item.name == POD_SECURITY_CONTEXT {
        let spec = graph.types.iter().find(|item| item.name == POD_SPEC);
        let moved = IN_SECURITY_CONTEXT.iter();
        let moved = moved.filter_map(|name| spec.and_then(|spec| spec.field(name)));
        fields.splice(..0, moved);
    }
    fields
}

/// The value of a struct with its fields where the internal type has them.
pub(super) fn moved<'a>(item: &StructType, value: &'a Value) -> Cow<'a, Value> {
    if item.name != POD_SPEC {
        return Cow::Borrowed(value);
    }
    let mut spec = value.clone();
    for field in IN_SECURITY_CONTEXT {
        if let Some(held) = spec.drop_field(field) {
            spec.child_mut("securityContext").put(field, held);
        }
    }
    Cow::Owned(spec)
}
