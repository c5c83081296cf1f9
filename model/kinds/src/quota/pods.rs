//! What pods use.
//!
//! Source: `pkg/quota/v1/evaluator/core/pods.go`.

use jiff::{SignedDuration, Timestamp};
use meta::{Object, ObjectExt};

use crate::amounts::{Amounts, add, amounts, count, of_pod};

/// What the name of a class's implicit extended resource starts with. Source: `ResourceDeviceClassPrefix`.
const CLASS: &str = "deviceclass.resource.kubernetes.io/";

/// What a pod uses beyond being there; a finished pod uses nothing more.
pub(super) fn usage(pod: &Object, now: Timestamp) -> Amounts {
    if is_over(pod, now) {
        return Amounts::new();
    }
    let (mut requests, mut limits) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
    let overhead = amounts(pod.at(&["spec", "overhead"]));
    add(&mut requests, &overhead);
    let mut on_limits = overhead;
    on_limits.retain(|name, _| limits.get(name).is_some_and(|limit| !limit.is_zero()));
    add(&mut limits, &on_limits);
    let mut used = named(&requests, &limits);
    used.insert("pods".into(), count(1));
    used
}

/// Requests and limits under the names that quotas give them.
pub fn named(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut names = Amounts::new();
    for (name, amount) in requests {
        let is_native = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage");
        let is_huge = name.starts_with("hugepages-");
        let is_extended = is_extended(name);
        if is_native || is_huge {
            names.insert(name.clone(), *amount);
        }
        if is_native || is_huge || is_extended {
            names.insert(format!("requests.{name}"), *amount);
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            names.insert(format!("limits.{name}"), *amount);
        }
    }
    names
}

/// Whether a resource is an extended one, or stands for the devices of a class. Source: `IsDRAExtendedResourceName`.
pub(super) fn is_extended(name: &str) -> bool {
    name.starts_with(CLASS) || name.contains('/') && !name.contains("kubernetes.io/")
}

/// Whether a pod has ended, or should have by now. Source: `QuotaV1Pod`.
fn is_over(pod: &Object, now: Timestamp) -> bool {
    let phase = pod.str_at(&["status", "phase"]);
    matches!(phase, Some("Failed" | "Succeeded")) || over_at(pod).is_some_and(|end| now > end)
}

/// When a pod that is being deleted should have ended, after which it uses nothing more.
pub fn over_at(pod: &Object) -> Option<Timestamp> {
    let deleted = pod
        .deletion_timestamp()
        .and_then(meta::time::from_rfc3339)?;
    let grace = pod.int_at(&["metadata", "deletionGracePeriodSeconds"])?;
    deleted.checked_add(SignedDuration::from_secs(grace)).ok()
}
