//! Pods that name their node.

use crate::cluster::Node;
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};

pub(crate) fn filter(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if pod.node_name.is_empty() || pod.node_name == node.name {
        return Ok(());
    }
    Err(Rejection::for_good(
        Plugin::NodeName,
        "node(s) didn't match the requested node name",
    ))
}
