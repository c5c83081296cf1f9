//! Preferred affinity and anti-affinity to pods, the pod's own and that of others.

use super::SCORE_MAX;
use crate::cluster::{Cluster, Node};
use crate::filter::inter_pod_affinity::preferences;
use crate::pod::Pod;

pub(crate) fn score(pod: &Pod, nodes: &[&Node], cluster: &Cluster) -> Vec<i64> {
    if pod.preferred_pods.is_empty() && !cluster.has_preferences() {
        return vec![0; nodes.len()];
    }
    let sums = preferences(pod, cluster);
    let weigh = |node: &&Node| -> i64 {
        let here = sums
            .iter()
            .filter(|((key, value), _)| node.labels.get(key) == Some(value));
        here.map(|(_, weight)| weight).sum()
    };
    let raw: Vec<i64> = nodes.iter().map(weigh).collect();
    let least = raw.iter().copied().min().unwrap_or_default();
    let span = raw.iter().copied().max().unwrap_or_default() - least;
    raw.into_iter()
        .map(|score| {
            if span == 0 {
                0
            } else {
                SCORE_MAX * (score - least) / span
            }
        })
        .collect()
}
