//! Fewer soft taints are better.

use super::normalize;
use crate::cluster::Node;
use crate::pod::Pod;
use meta::taint::is_tolerated;

pub(crate) fn score(pod: &Pod, nodes: &[&Node]) -> Vec<i64> {
    let soft = |node: &&Node| {
        let taints = node
            .taints
            .iter()
            .filter(|taint| taint.effect == "PreferNoSchedule");
        let bad = taints
            .filter(|taint| !is_tolerated(taint, &pod.tolerations))
            .count();
        i64::try_from(bad).unwrap_or(i64::MAX)
    };
    normalize(nodes.iter().map(soft).collect(), true)
}
