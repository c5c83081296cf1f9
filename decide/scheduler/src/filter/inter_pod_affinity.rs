//! Pods that want to be near others, or far from them. Source: `interpodaffinity/filtering.go`.

use std::collections::{BTreeMap, BTreeSet};

use crate::affinity::PodTerm;
use crate::cluster::{Cluster, Node};
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};

type Place = (String, String);

/// Places that matter to the pod.
#[derive(Default)]
pub(crate) struct Counts {
    /// Places whose pods refuse it.
    refused: BTreeSet<Place>,
    /// For each term of its affinity, the places where it holds.
    near: Vec<BTreeSet<Place>>,
    /// Places of pods that it avoids.
    avoided: BTreeSet<Place>,
    /// Whether no pod anywhere meets its affinity, but it would itself: the first of a group may go anywhere.
    is_first: bool,
}

fn place(term: &PodTerm, node: &Node) -> Option<Place> {
    Some((
        term.topology_key.clone(),
        node.labels.get(&term.topology_key)?.clone(),
    ))
}

fn selects(term: &PodTerm, pod: &Pod, cluster: &Cluster) -> bool {
    term.matches(
        &pod.key.namespace,
        cluster.namespace_labels(&pod.key.namespace),
        &pod.labels,
    )
}

impl Counts {
    pub(crate) fn new(pod: &Pod, cluster: &Cluster) -> Self {
        let mut counts = Self {
            near: vec![BTreeSet::new(); pod.affinity.len()],
            ..Self::default()
        };
        if pod.affinity.is_empty() && pod.anti_affinity.is_empty() && !cluster.has_guarded() {
            return counts;
        }
        for node in cluster.nodes() {
            counts.see(pod, node, cluster);
        }
        let is_nowhere = counts.near.iter().all(BTreeSet::is_empty);
        counts.is_first = is_nowhere && pod.affinity.iter().all(|term| selects(term, pod, cluster));
        counts
    }

    fn see(&mut self, pod: &Pod, node: &Node, cluster: &Cluster) {
        for other in node.guarded.values() {
            let refusing = other
                .anti_affinity
                .iter()
                .filter(|term| selects(term, pod, cluster));
            self.refused
                .extend(refusing.filter_map(|term| place(term, node)));
        }
        if pod.affinity.is_empty() && pod.anti_affinity.is_empty() {
            return;
        }
        for other in node.pods.values() {
            // A pod counts as near only when it meets every term at once.
            if !pod.affinity.is_empty()
                && pod
                    .affinity
                    .iter()
                    .all(|term| selects(term, other, cluster))
            {
                for (term, places) in pod.affinity.iter().zip(&mut self.near) {
                    places.extend(place(term, node));
                }
            }
            let avoided = pod
                .anti_affinity
                .iter()
                .filter(|term| selects(term, other, cluster));
            self.avoided
                .extend(avoided.filter_map(|term| place(term, node)));
        }
    }
}

pub(crate) fn filter(pod: &Pod, node: &Node, counts: &Counts) -> Result<(), Rejection> {
    let is_near = pod.affinity.iter().zip(&counts.near).all(|(term, places)| {
        place(term, node).is_some_and(|place| counts.is_first || places.contains(&place))
    });
    if !is_near {
        let reason = "node(s) didn't match pod affinity rules";
        return Err(Rejection::for_good(Plugin::InterPodAffinity, reason));
    }
    let is_avoided = pod
        .anti_affinity
        .iter()
        .any(|term| place(term, node).is_some_and(|place| counts.avoided.contains(&place)));
    if is_avoided {
        let reason = "node(s) didn't match pod anti-affinity rules";
        return Err(Rejection::new(Plugin::InterPodAffinity, reason));
    }
    let is_at = |(key, value): &Place| node.labels.get(key) == Some(value);
    if counts.refused.iter().any(is_at) {
        let reason = "node(s) didn't satisfy existing pods anti-affinity rules";
        return Err(Rejection::new(Plugin::InterPodAffinity, reason));
    }
    Ok(())
}

/// Preferred terms summed over places: positive attracts, negative repels.
pub(crate) fn preferences(pod: &Pod, cluster: &Cluster) -> BTreeMap<(String, String), i64> {
    let mut sums = BTreeMap::new();
    for node in cluster.nodes() {
        for other in node.pods.values() {
            let ours = pod
                .preferred_pods
                .iter()
                .filter(|term| selects(term, other, cluster));
            let theirs = other
                .preferred_pods
                .iter()
                .filter(|term| selects(term, pod, cluster));
            for term in ours.chain(theirs) {
                if let Some(place) = place(term, node) {
                    *sums.entry(place).or_default() += term.weight;
                }
            }
        }
    }
    sums
}
