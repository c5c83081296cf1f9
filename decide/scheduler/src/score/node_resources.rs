//! More room is better, and so is an even use of CPU and memory.

use super::SCORE_MAX;
use crate::cluster::Node;
use crate::pod::Pod;

/// Share of each resource that stays free. Source: `noderesources/least_allocated.go`.
pub(crate) fn least_allocated(pod: &Pod, nodes: &[&Node]) -> Vec<i64> {
    let rate = |node: &&Node| {
        let (taken, asked, has) = (
            &node.nonzero_requested,
            &pod.nonzero_requests,
            &node.allocatable,
        );
        let free = |used: i64, has: i64| {
            if has == 0 || used > has {
                0
            } else {
                (has - used) * SCORE_MAX / has
            }
        };
        let pairs = [
            (taken.cpu_milli + asked.cpu_milli, has.cpu_milli),
            (taken.memory_bytes + asked.memory_bytes, has.memory_bytes),
        ];
        let counted = pairs.into_iter().filter(|(_, has)| *has > 0);
        let (sum, count) = counted.fold((0, 0), |(sum, count), (used, has)| {
            (sum + free(used, has), count + 1)
        });
        if count == 0 { 0 } else { sum / count }
    };
    nodes.iter().map(rate).collect()
}

/// How much evener the use becomes. Source: `noderesources/balanced_allocation.go`.
pub(crate) fn balanced_allocation(pod: &Pod, nodes: &[&Node]) -> Vec<i64> {
    if pod.requests.is_zero() {
        return vec![0; nodes.len()];
    }
    let rate = |node: &&Node| {
        let (taken, asked) = (&node.requested, &pod.requests);
        let without = evenness(node, taken.cpu_milli, taken.memory_bytes);
        let with = evenness(
            node,
            taken.cpu_milli + asked.cpu_milli,
            taken.memory_bytes + asked.memory_bytes,
        );
        SCORE_MAX / 2 + i64::midpoint(SCORE_MAX / 2, with - without)
    };
    nodes.iter().map(rate).collect()
}

/// 100 when CPU and memory are used to the same share, less the further they are apart; in thousandths inside, so
/// that no floating point number decides.
fn evenness(node: &Node, cpu_milli: i64, memory_bytes: i64) -> i64 {
    let share = |used: i64, has: i64| {
        let share = i128::from(used) * 1_000_000 / i128::from(has);
        share.clamp(0, 1_000_000)
    };
    let has = &node.allocatable;
    if has.cpu_milli <= 0 || has.memory_bytes <= 0 {
        return SCORE_MAX;
    }
    let apart = share(cpu_milli, has.cpu_milli) - share(memory_bytes, has.memory_bytes);
    let deviation = apart.abs() / 2;
    i64::try_from((1_000_000 - deviation) / 10_000).unwrap_or(SCORE_MAX)
}
