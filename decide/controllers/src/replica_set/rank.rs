//! Which pods go first when there are too many. Source: `controller_utils.go`, `ActivePodsWithRanks`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Object, ObjectExt};

use crate::pod;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Everything that makes a pod more or less wanted; the least wanted sorts first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    is_assigned: bool,
    phase: u8,
    is_ready: bool,
    deletion_cost: i64,
    /// Active siblings on the same node: the more, the less wanted.
    neighbours: Reverse<usize>,
    ready_for: u32,
    restarts: Reverse<i64>,
    age: u32,
    uid: String,
}

/// Sorts pods so that those to delete come first; `related` are the active pods that share a purpose with them.
pub(super) fn sort_least_wanted_first(
    pods: &mut [Arc<Object>],
    related: &[Arc<Object>],
    now: Timestamp,
) {
    let mut per_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related {
        *per_node.entry(pod::node_name(pod)).or_default() += 1;
    }
    pods.sort_by_cached_key(|pod| {
        let node = pod::node_name(pod);
        Wanted {
            is_assigned: !node.is_empty(),
            phase: match pod::phase(pod) {
                "Running" => 2,
                "Unknown" => 1,
                _ => 0,
            },
            is_ready: pod::is_ready(pod),
            deletion_cost: deletion_cost(pod),
            neighbours: Reverse(per_node.get(node).copied().unwrap_or_default()),
            ready_for: magnitude(pod::ready_since(pod), now),
            restarts: Reverse(pod::restarts_max(pod)),
            age: magnitude(pod::created_at(pod), now),
            uid: pod.uid().to_owned(),
        }
    });
}

fn deletion_cost(pod: &Object) -> i64 {
    let cost = pod
        .annotation(DELETION_COST)
        .and_then(|cost| cost.parse::<i32>().ok());
    i64::from(cost.unwrap_or_default())
}

/// The order of magnitude of a time span: pods of similar age are equal, so that deletions spread.
fn magnitude(since: Option<Timestamp>, now: Timestamp) -> u32 {
    let span = since.map_or(0, |since| now.duration_since(since).as_nanos());
    u128::try_from(span)
        .unwrap_or_default()
        .checked_ilog2()
        .map_or(0, |log| log + 1)
}
