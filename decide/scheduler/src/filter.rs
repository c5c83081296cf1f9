//! The filters: each says whether a node can take a pod, and why not.

use crate::cluster::{Cluster, Node};
use crate::pod::Pod;
use crate::rejection::Rejection;

pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_name;
pub mod node_ports;
pub mod node_resources;
pub mod node_unschedulable;
pub mod pod_topology_spread;
pub mod taint_toleration;

/// What is worked out once per pod for all nodes.
pub struct Prepared {
    pub(crate) spread: pod_topology_spread::Counts,
    pub(crate) affinity: inter_pod_affinity::Counts,
}

impl Prepared {
    /// Works it out.
    pub fn new(pod: &Pod, cluster: &Cluster) -> Self {
        Self {
            spread: pod_topology_spread::Counts::new(pod, cluster),
            affinity: inter_pod_affinity::Counts::new(pod, cluster),
        }
    }
}

/// Runs the filters in upstream's order up to the first that rejects.
pub fn filter(pod: &Pod, node: &Node, prepared: &Prepared) -> Result<(), Rejection> {
    node_unschedulable::filter(pod, node)?;
    node_name::filter(pod, node)?;
    taint_toleration::filter(pod, node)?;
    node_affinity::filter(pod, node)?;
    node_ports::filter(pod, node)?;
    node_resources::filter(pod, node)?;
    pod_topology_spread::filter(pod, node, &prepared.spread)?;
    inter_pod_affinity::filter(pod, node, &prepared.affinity)
}
