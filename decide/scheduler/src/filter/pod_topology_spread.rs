//! Pods spread evenly over places. Source: `podtopologyspread/filtering.go`.

use std::collections::BTreeMap;

use crate::affinity::SpreadConstraint;
use crate::cluster::{Cluster, Node};
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};
use meta::taint::untolerated;

const NOT_MET: &str = "node(s) didn't match pod topology spread constraints";

/// For each hard constraint, how many pods each place has.
#[derive(Default)]
pub(crate) struct Counts(Vec<BTreeMap<String, i64>>);

impl Counts {
    pub(crate) fn new(pod: &Pod, cluster: &Cluster) -> Self {
        let hard: Vec<&SpreadConstraint> = pod.spread.iter().filter(|c| c.is_hard).collect();
        if hard.is_empty() {
            return Self::default();
        }
        let mut counts = vec![BTreeMap::new(); hard.len()];
        for node in cluster.nodes() {
            if hard
                .iter()
                .any(|constraint| !node.labels.contains_key(&constraint.topology_key))
            {
                continue;
            }
            for (constraint, places) in hard.iter().zip(&mut counts) {
                if counts_node(constraint, pod, node)
                    && let Some(place) = node.labels.get(&constraint.topology_key)
                {
                    *places.entry(place.clone()).or_default() += pods_on(constraint, pod, node);
                }
            }
        }
        Self(counts)
    }
}

/// Whether a node's pods and place count for a constraint.
pub(crate) fn counts_node(constraint: &SpreadConstraint, pod: &Pod, node: &Node) -> bool {
    (!constraint.honors_affinity || pod.allows_node(&node.name, &node.labels))
        && (!constraint.honors_taints || untolerated(&node.taints, &pod.tolerations).is_none())
}

/// The pods of a node that a constraint counts.
pub(crate) fn pods_on(constraint: &SpreadConstraint, pod: &Pod, node: &Node) -> i64 {
    let counted = node.pods.values().filter(|other| {
        other.key.namespace == pod.key.namespace && constraint.counts(&other.labels)
    });
    i64::try_from(counted.count()).unwrap_or(i64::MAX)
}

pub(crate) fn filter(pod: &Pod, node: &Node, counts: &Counts) -> Result<(), Rejection> {
    let hard = pod.spread.iter().filter(|constraint| constraint.is_hard);
    for (constraint, places) in hard.zip(&counts.0) {
        let Some(place) = node.labels.get(&constraint.topology_key) else {
            let reason = format!("{NOT_MET} (missing required label)");
            return Err(Rejection::for_good(Plugin::PodTopologySpread, reason));
        };
        let domains = i64::try_from(places.len()).unwrap_or(i64::MAX);
        let least = if domains < constraint.min_domains {
            0
        } else {
            places.values().copied().min().unwrap_or_default()
        };
        let own = i64::from(constraint.counts(&pod.labels));
        let here = places.get(place).copied().unwrap_or_default();
        if here + own - least > constraint.max_skew {
            return Err(Rejection::new(Plugin::PodTopologySpread, NOT_MET));
        }
    }
    Ok(())
}
