//! Filter, score, pick.

use crate::cluster::{Cluster, Node};
use crate::filter::{Prepared, filter};
use crate::pod::Pod;
use crate::rejection::Rejections;
use crate::score::score;

/// Nodes below which all of them are looked at. Source: `schedule_one.go`.
const NODES_MIN: usize = 100;
/// Smallest share of a large cluster that is looked at, in percent. Source: `schedule_one.go`.
const PERCENT_MIN: usize = 5;

/// Where a pod goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Name of the node.
    pub node: String,
    /// How many nodes were looked at: the next search starts after them.
    pub looked_at: usize,
}

/// Picks a node. `start` is where the search begins and `tie` breaks ties: both spread pods over equal nodes.
///
/// # Errors
/// No node can take the pod; the rejections say why.
pub fn schedule(
    pod: &Pod,
    cluster: &Cluster,
    start: usize,
    tie: u64,
) -> Result<Placement, Rejections> {
    let prepared = Prepared::new(pod, cluster);
    let enough = enough(cluster.len());
    let mut rejections = Rejections {
        nodes: cluster.len(),
        may_preempt: pod.may_preempt,
        ..Rejections::default()
    };
    let mut feasible: Vec<&Node> = Vec::new();
    let mut looked_at = 0;
    for node in cluster.nodes_from(start) {
        looked_at += 1;
        match filter(pod, node, &prepared) {
            Ok(()) => feasible.push(node),
            Err(rejection) => rejections.add(rejection),
        }
        if feasible.len() >= enough {
            break;
        }
    }
    let node = match feasible.as_slice() {
        [] => return Err(rejections),
        [only] => only,
        several => pick(pod, several, cluster, tie),
    };
    Ok(Placement {
        node: node.name.clone(),
        looked_at,
    })
}

fn pick<'a>(pod: &Pod, nodes: &[&'a Node], cluster: &Cluster, tie: u64) -> &'a Node {
    let scores = score(pod, nodes, cluster);
    let best = scores.iter().copied().max().unwrap_or_default();
    let equals: Vec<&Node> = nodes
        .iter()
        .zip(&scores)
        .filter(|(_, score)| **score == best)
        .map(|(node, _)| *node)
        .collect();
    let count = u64::try_from(equals.len()).unwrap_or(1).max(1);
    let at = usize::try_from(tie % count).unwrap_or_default();
    equals
        .get(at)
        .copied()
        .expect("the best score belongs to at least one node")
}

/// How many feasible nodes are enough. Source: `numFeasibleNodesToFind`.
fn enough(nodes: usize) -> usize {
    if nodes < NODES_MIN {
        return NODES_MIN;
    }
    let percent = 50_usize.saturating_sub(nodes / 125).max(PERCENT_MIN);
    (nodes * percent / 100).max(NODES_MIN)
}
