//! Node selector and required node affinity.

use crate::cluster::Node;
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};

pub(crate) fn filter(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if pod.allows_node(&node.name, &node.labels) {
        return Ok(());
    }
    let reason = "node(s) didn't match Pod's node affinity/selector";
    Err(Rejection::for_good(Plugin::NodeAffinity, reason))
}
