//! The rules, one file per kind; each tries its rules top down and the first that applies decides
//! (rule G1).

pub(crate) mod common;
pub(crate) mod cronjob;
pub(crate) mod custom;
pub(crate) mod daemonset;
pub(crate) mod deployment;
pub(crate) mod fleet;
pub(crate) mod job;
pub(crate) mod pod;
pub(crate) mod replicaset;
pub(crate) mod statefulset;

use crate::field;
use crate::scene::{Draft, Scene};

/// Whether the specification has rules of its own for the kind of an object.
pub(crate) fn is_built_in(kind: &str, group: &str) -> bool {
    match kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => matches!(group, "apps" | "extensions" | ""),
        "StatefulSet" => matches!(group, "apps" | ""),
        "Job" | "CronJob" => matches!(group, "batch" | ""),
        "Pod" | "ReplicationController" => group.is_empty(),
        _ => false,
    }
}

/// Applies the rules of the subject's kind.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let kind = field::text(scene.subject, "kind");
    if let Some(draft) = common::outdated(scene) {
        return draft;
    }
    if !is_built_in(kind, field::group(scene.subject)) {
        return custom::apply(scene);
    }
    match kind {
        "Deployment" => deployment::apply(scene),
        "StatefulSet" => statefulset::apply(scene),
        "DaemonSet" => daemonset::apply(scene),
        "ReplicaSet" | "ReplicationController" => replicaset::apply(scene),
        "Job" => job::apply(scene),
        "CronJob" => cronjob::apply(scene),
        _ => pod::apply(scene),
    }
}
