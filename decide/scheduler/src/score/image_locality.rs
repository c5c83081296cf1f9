//! Nodes that have the images are better, unless nearly all have. Source: `imagelocality/image_locality.go`.

use super::SCORE_MAX;
use crate::cluster::{Cluster, Node};
use crate::pod::Pod;

const BYTES_MIN: i64 = 23 << 20;
const BYTES_MAX_PER_CONTAINER: i64 = 1000 << 20;

pub(crate) fn score(pod: &Pod, nodes: &[&Node], cluster: &Cluster) -> Vec<i64> {
    let total = i64::try_from(cluster.len().max(1)).unwrap_or(i64::MAX);
    let names: Vec<String> = pod.images.iter().map(|image| normalized(image)).collect();
    let spread: Vec<i64> = names
        .iter()
        .map(|name| {
            let having = nodes
                .iter()
                .filter(|node| node.images.contains_key(name))
                .count();
            i64::try_from(having).unwrap_or(i64::MAX)
        })
        .collect();
    let most = BYTES_MAX_PER_CONTAINER * i64::try_from(names.len().max(1)).unwrap_or(1);
    let rate = |node: &&Node| {
        let held = names.iter().zip(&spread);
        let sum: i64 = held
            .filter_map(|(name, having)| Some(node.images.get(name)? * having / total))
            .sum();
        SCORE_MAX * (sum.clamp(BYTES_MIN, most) - BYTES_MIN) / (most - BYTES_MIN)
    };
    nodes.iter().map(rate).collect()
}

/// The name with a tag.
fn normalized(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}
