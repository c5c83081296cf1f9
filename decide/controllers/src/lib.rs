//! What the control loops want: for each controller, what it sees in a snapshot and what should be done about it.
//!
//! Invariants as absences: no async, no clock, no I/O, no randomness; nothing is remembered between two decisions.

pub mod action;
pub mod claim;
pub mod condition;
pub mod controller;
pub mod hash;
mod history;
pub mod pod;
pub mod scaled;
pub mod snapshot;

pub mod cluster_role_aggregation;
pub mod cron_job;
pub mod daemon_set;
pub mod deployment;
pub mod disruption;
pub mod endpoint_slice;
pub mod endpoint_slice_mirroring;
pub mod endpoints;
pub mod event_ttl;
pub mod flow_schema;
pub mod garbage;
pub mod job;
pub mod kubernetes_service;
pub mod namespace;
pub mod node_lifecycle;
pub mod pod_gc;
pub mod replica_set;
pub mod resource_quota;
pub mod root_ca;
pub mod service;
pub mod service_account;
pub mod service_address;
pub mod service_cidr;
pub mod stateful_set;
pub mod storage_protection;
pub mod taint_eviction;
pub mod ttl_after_finished;

#[cfg(test)]
pub(crate) mod testing;

pub use action::{Action, Event, Propagation, Reference, Report};
pub use controller::{Controller, Decision, Failure};
pub use snapshot::{Settings, Snapshot};

/// The resources that the controllers know by name.
pub mod resources {
    use meta::Resource;

    /// Pods.
    pub const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");
    /// Nodes.
    pub const NODES: Resource = Resource::cluster("", "v1", "Node", "nodes");
    /// Namespaces.
    pub const NAMESPACES: Resource = Resource::cluster("", "v1", "Namespace", "namespaces");
    /// Services.
    pub const SERVICES: Resource = Resource::namespaced("", "v1", "Service", "services");
    /// Endpoints, the older form of slices.
    pub const ENDPOINTS: Resource = Resource::namespaced("", "v1", "Endpoints", "endpoints");
    /// Service accounts.
    pub const SERVICE_ACCOUNTS: Resource =
        Resource::namespaced("", "v1", "ServiceAccount", "serviceaccounts");
    /// Config maps.
    pub const CONFIG_MAPS: Resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");
    /// Secrets.
    pub const SECRETS: Resource = Resource::namespaced("", "v1", "Secret", "secrets");
    /// Events.
    pub const EVENTS: Resource = Resource::namespaced("", "v1", "Event", "events");
    /// Replication controllers.
    pub const REPLICATION_CONTROLLERS: Resource =
        Resource::namespaced("", "v1", "ReplicationController", "replicationcontrollers");
    /// Resource quotas.
    pub const RESOURCE_QUOTAS: Resource =
        Resource::namespaced("", "v1", "ResourceQuota", "resourcequotas");
    /// Persistent volume claims.
    pub const PERSISTENT_VOLUME_CLAIMS: Resource =
        Resource::namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims");
    /// Claims for devices.
    pub const RESOURCE_CLAIMS: Resource =
        Resource::namespaced("resource.k8s.io", "v1", "ResourceClaim", "resourceclaims");
    /// Classes of devices.
    pub const DEVICE_CLASSES: Resource =
        Resource::cluster("resource.k8s.io", "v1", "DeviceClass", "deviceclasses");
    /// Persistent volumes.
    pub const PERSISTENT_VOLUMES: Resource =
        Resource::cluster("", "v1", "PersistentVolume", "persistentvolumes");
    /// Classes of volume attributes.
    pub const VOLUME_ATTRIBUTES_CLASSES: Resource = Resource::cluster(
        "storage.k8s.io",
        "v1",
        "VolumeAttributesClass",
        "volumeattributesclasses",
    );
    /// Deployments.
    pub const DEPLOYMENTS: Resource =
        Resource::namespaced("apps", "v1", "Deployment", "deployments");
    /// Replica sets.
    pub const REPLICA_SETS: Resource =
        Resource::namespaced("apps", "v1", "ReplicaSet", "replicasets");
    /// Stateful sets.
    pub const STATEFUL_SETS: Resource =
        Resource::namespaced("apps", "v1", "StatefulSet", "statefulsets");
    /// Daemon sets.
    pub const DAEMON_SETS: Resource = Resource::namespaced("apps", "v1", "DaemonSet", "daemonsets");
    /// Controller revisions.
    pub const CONTROLLER_REVISIONS: Resource =
        Resource::namespaced("apps", "v1", "ControllerRevision", "controllerrevisions");
    /// Jobs.
    pub const JOBS: Resource = Resource::namespaced("batch", "v1", "Job", "jobs");
    /// Cron jobs.
    pub const CRON_JOBS: Resource = Resource::namespaced("batch", "v1", "CronJob", "cronjobs");
    /// Leases.
    pub const LEASES: Resource =
        Resource::namespaced("coordination.k8s.io", "v1", "Lease", "leases");
    /// Endpoint slices.
    pub const ENDPOINT_SLICES: Resource =
        Resource::namespaced("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");
    /// Addresses in use.
    pub const IP_ADDRESSES: Resource =
        Resource::cluster("networking.k8s.io", "v1", "IPAddress", "ipaddresses");
    /// Ranges of cluster IPs.
    pub const SERVICE_CIDRS: Resource =
        Resource::cluster("networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs");
    /// Pod disruption budgets.
    pub const POD_DISRUPTION_BUDGETS: Resource = Resource::namespaced(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
    );
    /// Which requests fall under which priority level.
    pub const FLOW_SCHEMAS: Resource = Resource::cluster(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "FlowSchema",
        "flowschemas",
    );
    /// Priority levels of requests.
    pub const PRIORITY_LEVELS: Resource = Resource::cluster(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
    );
    /// Cluster roles.
    pub const CLUSTER_ROLES: Resource = Resource::cluster(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRole",
        "clusterroles",
    );
}
