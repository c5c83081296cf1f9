//! Soft spread constraints: places with fewer pods are better.
//!
// DIFFERS: upstream weighs each constraint by the logarithm of its number of places; here they weigh the same.

use std::collections::BTreeMap;

use super::SCORE_MAX;
use crate::affinity::SpreadConstraint;
use crate::cluster::{Cluster, Node};
use crate::filter::pod_topology_spread::{counts_node, pods_on};
use crate::pod::Pod;

pub(crate) fn score(pod: &Pod, nodes: &[&Node], cluster: &Cluster) -> Vec<i64> {
    let soft: Vec<&SpreadConstraint> = pod.spread.iter().filter(|c| !c.is_hard).collect();
    if soft.is_empty() {
        return vec![0; nodes.len()];
    }
    let mut places: Vec<BTreeMap<&str, i64>> = vec![BTreeMap::new(); soft.len()];
    for node in cluster.nodes() {
        for (constraint, places) in soft.iter().zip(&mut places) {
            if let Some(place) = node.labels.get(&constraint.topology_key)
                && counts_node(constraint, pod, node)
            {
                *places.entry(place).or_default() += pods_on(constraint, pod, node);
            }
        }
    }
    let crowd = |node: &&Node| -> Option<i64> {
        let counts = soft.iter().zip(&places);
        counts
            .map(|(constraint, places)| {
                places
                    .get(node.labels.get(&constraint.topology_key)?.as_str())
                    .copied()
            })
            .sum()
    };
    let crowds: Vec<Option<i64>> = nodes.iter().map(crowd).collect();
    let most = crowds.iter().flatten().copied().max().unwrap_or_default();
    let least = crowds.iter().flatten().copied().min().unwrap_or_default();
    let rate = |crowd: Option<i64>| match crowd {
        None => 0,
        Some(_) if most == 0 => SCORE_MAX,
        Some(crowd) => SCORE_MAX * (most + least - crowd) / most,
    };
    crowds.into_iter().map(rate).collect()
}
