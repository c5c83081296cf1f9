//! Requests and limits as the kernel counts them: shares, quota, bytes, OOM score.
//!
//! Source: `pkg/kubelet/cm/helpers_linux.go`, `pkg/kubelet/qos/policy.go`,
//! `pkg/kubelet/kuberuntime/kuberuntime_container_linux.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use meta::Quantity;

use crate::qos::{self, Qos};

/// Fewest CPU shares the kernel takes.
const SHARES_MIN: i64 = 2;
/// Most CPU shares the kernel takes.
const SHARES_MAX: i64 = 262_144;
/// Length of a scheduling period, in microseconds.
const PERIOD_US: i64 = 100_000;
/// Shortest quota the kernel takes, in microseconds.
const QUOTA_US_MIN: i64 = 1000;
/// OOM score of a guaranteed container.
const OOM_GUARANTEED: i64 = -997;
/// OOM score of a best-effort container.
const OOM_BEST_EFFORT: i64 = 1000;
/// Pods of at least this priority are critical to the node.
const CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// What a container's cgroup is given; zero means "not set", as in CRI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Relative weight of CPU time.
    pub cpu_shares: i64,
    /// Microseconds of CPU time per period.
    pub cpu_quota_us: i64,
    /// Length of the period, in microseconds.
    pub cpu_period_us: i64,
    /// Memory, in bytes.
    pub memory_bytes: i64,
    /// OOM score adjustment.
    pub oom_score: i64,
}

/// One amount of a resource list, by name.
pub fn named(list: Option<&BTreeMap<String, ApiQuantity>>, name: &str) -> Option<Quantity> {
    Quantity::parse(&list?.get(name)?.0).ok()
}

/// CPU shares for thousandths of a CPU.
pub fn cpu_shares(milli: i64) -> i64 {
    (milli.saturating_mul(1024) / 1000).clamp(SHARES_MIN, SHARES_MAX)
}

/// CPU quota, in microseconds per period, for thousandths of a CPU; 0 for no limit.
pub fn cpu_quota_us(milli: i64) -> i64 {
    if milli == 0 {
        return 0;
    }
    (milli.saturating_mul(PERIOD_US) / 1000).max(QUOTA_US_MIN)
}

/// Limits of one container.
///
/// `memory_capacity_bytes` is the node's memory, against which OOM scores are weighed.
pub fn container(pod: &Pod, container: &Container, memory_capacity_bytes: i64) -> Limits {
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|all| all.requests.as_ref());
    let limits = resources.and_then(|all| all.limits.as_ref());
    let cpu_limit = named(limits, "cpu").map_or(0, |one| one.milli_value());
    // A limit without a request asks for as much as it allows.
    let cpu_request = named(requests, "cpu").map_or(cpu_limit, |one| one.milli_value());
    Limits {
        cpu_shares: cpu_shares(cpu_request),
        cpu_quota_us: cpu_quota_us(cpu_limit),
        cpu_period_us: PERIOD_US,
        memory_bytes: named(limits, "memory").map_or(0, |one| one.value()),
        oom_score: oom_score(pod, container, memory_capacity_bytes),
    }
}

/// Whether a pod's priority makes it critical to the node.
pub fn is_critical(pod: &Pod) -> bool {
    let priority = pod.spec.as_ref().and_then(|spec| spec.priority);
    priority.is_some_and(|priority| priority >= CRITICAL_PRIORITY)
}

/// OOM score adjustment of one container.
pub fn oom_score(pod: &Pod, container: &Container, memory_capacity_bytes: i64) -> i64 {
    if is_critical(pod) {
        return OOM_GUARANTEED;
    }
    match qos::class(pod) {
        Qos::Guaranteed => return OOM_GUARANTEED,
        Qos::BestEffort => return OOM_BEST_EFFORT,
        Qos::Burstable => {}
    }
    let requests = container
        .resources
        .as_ref()
        .and_then(|all| all.requests.as_ref());
    let request = named(requests, "memory").map_or(0, |one| one.value());
    let share = i128::from(request) * 1000 / i128::from(memory_capacity_bytes.max(1));
    let score = 1000 - i64::try_from(share).unwrap_or(1000);
    // Burstable stays between guaranteed (exclusive) and best effort (exclusive).
    score.clamp(1000 + OOM_GUARANTEED, OOM_BEST_EFFORT - 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GIB: i64 = 1 << 30;

    #[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
    fn limits_of(resources: serde_json::Value) -> Limits {
        let pod: Pod = serde_json::from_value(json!({ "spec": { "containers": [
            { "name": "a", "resources": resources }] } }))
        .unwrap();
        let one = pod.spec.as_ref().unwrap().containers[0].clone();
        container(&pod, &one, 4 * GIB)
    }

    #[test]
    fn shares_and_quota_are_kept_in_the_kernels_range() {
        assert_eq!(cpu_shares(0), 2);
        assert_eq!(cpu_shares(1000), 1024);
        assert_eq!(cpu_shares(i64::MAX), 262_144);
        assert_eq!(cpu_quota_us(0), 0);
        assert_eq!(cpu_quota_us(1), 1000);
        assert_eq!(cpu_quota_us(500), 50_000);
    }

    #[test]
    fn a_limit_stands_in_for_a_missing_request() {
        let limits = limits_of(json!({ "limits": { "cpu": "500m", "memory": "64Mi" } }));
        assert_eq!(limits.cpu_shares, 512);
        assert_eq!(limits.cpu_quota_us, 50_000);
        assert_eq!(limits.memory_bytes, 64 << 20);
        assert_eq!(limits.oom_score, -997);
    }

    #[test]
    fn the_more_a_burstable_container_asks_for_the_later_it_is_killed() {
        assert_eq!(limits_of(json!({})).oom_score, 1000);
        assert_eq!(
            limits_of(json!({ "requests": { "memory": "1Gi" } })).oom_score,
            750
        );
        assert_eq!(
            limits_of(json!({ "requests": { "cpu": "1" } })).oom_score,
            999
        );
        assert_eq!(
            limits_of(json!({ "requests": { "memory": "100Gi" } })).oom_score,
            3
        );
    }
}
