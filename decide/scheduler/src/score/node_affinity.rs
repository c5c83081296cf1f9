//! Preferred node affinity.

use super::normalize;
use crate::cluster::Node;
use crate::pod::Pod;

pub(crate) fn score(pod: &Pod, nodes: &[&Node]) -> Vec<i64> {
    if pod.preferred_nodes.is_empty() {
        return vec![0; nodes.len()];
    }
    let weigh = |node: &&Node| {
        let terms = pod.preferred_nodes.iter();
        terms
            .filter(|(_, term)| term.matches(&node.name, &node.labels))
            .map(|(weight, _)| weight)
            .sum()
    };
    normalize(nodes.iter().map(weigh).collect(), false)
}
