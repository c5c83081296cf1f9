//! Taints that the pod does not tolerate.

use crate::cluster::Node;
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};
use meta::taint::untolerated;

pub(crate) fn filter(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    match untolerated(&node.taints, &pod.tolerations) {
        None => Ok(()),
        Some(_) => Err(Rejection::for_good(
            Plugin::TaintToleration,
            "node(s) had untolerated taint(s)",
        )),
    }
}
