//! Node ports that are taken.

use crate::cluster::Node;
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};

pub(crate) fn filter(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    if !pod.ports.iter().any(|port| node.has_port(port)) {
        return Ok(());
    }
    let reason = "node(s) didn't have free ports for the requested pod ports";
    Err(Rejection::new(Plugin::NodePorts, reason))
}
