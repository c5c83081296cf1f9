//! Room for one more pod, and for what it asks.

use crate::cluster::Node;
use crate::pod::Pod;
use crate::rejection::{Plugin, Rejection};

pub(crate) fn filter(pod: &Pod, node: &Node) -> Result<(), Rejection> {
    let mut rejection = Rejection {
        plugin: Plugin::NodeResourcesFit,
        reasons: Vec::new(),
        is_final: false,
    };
    let count = i64::try_from(node.pods.len()).unwrap_or(i64::MAX);
    if count >= node.pods_max {
        rejection.reasons.push("Too many pods".to_owned());
    }
    let mut check = |name: &str, asked: i64, taken: i64, has: i64| {
        if asked > 0 && asked > has - taken {
            rejection.reasons.push(format!("Insufficient {name}"));
            rejection.is_final |= asked > has;
        }
    };
    let (asked, taken, has) = (&pod.requests, &node.requested, &node.allocatable);
    check("cpu", asked.cpu_milli, taken.cpu_milli, has.cpu_milli);
    check(
        "memory",
        asked.memory_bytes,
        taken.memory_bytes,
        has.memory_bytes,
    );
    check(
        "ephemeral-storage",
        asked.ephemeral_bytes,
        taken.ephemeral_bytes,
        has.ephemeral_bytes,
    );
    for (name, amount) in &asked.others {
        let of = |map: &crate::Resources| map.others.get(name).copied().unwrap_or_default();
        check(name, *amount, of(taken), of(has));
    }
    if rejection.reasons.is_empty() {
        Ok(())
    } else {
        Err(rejection)
    }
}
