//! The scores: each rates the nodes that can take a pod, from 0 to 100; weights are upstream's.

use crate::cluster::{Cluster, Node};
use crate::pod::Pod;

pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_resources;
pub mod pod_topology_spread;
pub mod taint_toleration;

/// Best rating.
pub const SCORE_MAX: i64 = 100;

/// The weighted sum of all scores, one number per node. Source: `apis/config/v1/default_plugins.go` for the weights.
pub fn score(pod: &Pod, nodes: &[&Node], cluster: &Cluster) -> Vec<i64> {
    let mut totals = vec![0; nodes.len()];
    let mut add = |weight: i64, scores: Vec<i64>| {
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += weight * score;
        }
    };
    add(3, taint_toleration::score(pod, nodes));
    add(2, node_affinity::score(pod, nodes));
    add(2, pod_topology_spread::score(pod, nodes, cluster));
    add(2, inter_pod_affinity::score(pod, nodes, cluster));
    add(1, node_resources::least_allocated(pod, nodes));
    add(1, node_resources::balanced_allocation(pod, nodes));
    add(1, image_locality::score(pod, nodes, cluster));
    totals
}

/// Stretches ratings that are not negative so that the largest becomes the best one. Source: `DefaultNormalizeScore`.
fn normalize(mut scores: Vec<i64>, is_reversed: bool) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or_default();
    for score in &mut scores {
        *score = if most == 0 {
            0
        } else {
            *score * SCORE_MAX / most
        };
        if is_reversed {
            *score = SCORE_MAX - *score;
        }
    }
    scores
}
