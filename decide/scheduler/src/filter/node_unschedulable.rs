//! Nodes that were cordoned.

use crate::cluster::Node;
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};
use meta::taint::{Taint, is_tolerated};

pub(crate) fn filter(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        value: String::new(),
        effect: "NoSchedule".to_owned(),
    };
    if !node.is_unschedulable || is_tolerated(&taint, &pod.tolerations) {
        return Ok(());
    }
    Err(Rejection::for_good(
        Plugin::NodeUnschedulable,
        "node(s) were unschedulable",
    ))
}
