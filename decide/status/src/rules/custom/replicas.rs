//! X7: resources that count replicas or nodes.

use serde_json::Value;

use super::super::deployment::{creating, settling};
use super::super::fleet::{Fleet, Replicas, Revision, Terminating};
use super::super::statefulset::partitioned;
use super::super::{common, daemonset};
use super::{condition_draft, conditions};
use crate::field;
use crate::scene::{Draft, Scene};
use crate::verdict::{Counts, Severity};

/// What a resource says about its replicas.
struct Reported {
    n: Replicas,
    /// Replicas that are to have the new revision now.
    target: i64,
    /// Whether a partition keeps the others on the old one.
    is_partitioned: bool,
}

/// The rules on the counts; `None` when the resource reports none.
pub(super) fn counted(scene: &Scene<'_, '_>) -> Option<Draft> {
    let reported = read(scene.subject)?;
    let fleet = Fleet::new(scene, reported.n, Revision::Any, Terminating::Replaced);
    let draft = common::unreadable(scene)
        .or_else(|| fleet.lost_pods())
        .or_else(|| zero(&fleet))
        .or_else(|| shortage(&fleet))
        .or_else(|| rollout(&fleet, &reported))
        .or_else(|| conditions::contradicting(scene))
        .unwrap_or_else(|| fleet.healthy());
    Some(draft.counts(fleet.counts()))
}

/// Whether the counts say that replicas are missing.
pub(super) fn is_short(scene: &Scene<'_, '_>) -> bool {
    read(scene.subject).is_some_and(|reported| reported.n.ready < reported.n.desired)
}

/// The counts for the verdict; empty when the resource reports none.
pub(super) fn counts(scene: &Scene<'_, '_>) -> Counts {
    read(scene.subject).map_or_else(Counts::default, |reported| {
        Fleet::new(scene, reported.n, Revision::Any, Terminating::Replaced).counts()
    })
}

fn read(subject: &Value) -> Option<Reported> {
    if field::int(subject, "status.desiredNumberScheduled").is_some() {
        let n = daemonset::replicas(subject);
        return Some(with_target(subject, n));
    }
    let first = |paths: &[&str]| {
        paths
            .iter()
            .find_map(|path| field::int(subject, path))
            .map(|n| n.max(0))
    };
    let current = first(&["status.replicas"]);
    let ready = first(&[
        "status.readyReplicas",
        "status.updatedReadyReplicas",
        "status.availableReplicas",
    ]);
    if current.is_none() && ready.is_none() {
        return None;
    }
    let desired = first(&["spec.replicas", "status.replicas"])?;
    let ready = ready.unwrap_or(0);
    let available = first(&[
        "status.availableReplicas",
        "status.updatedAvailableReplicas",
    ])
    .unwrap_or(ready);
    let current = current.unwrap_or(desired);
    let updated = first(&["status.updatedReplicas"]).unwrap_or(current);
    Some(with_target(
        subject,
        Replicas {
            desired,
            current,
            updated,
            ready,
            available: available.min(ready),
        },
    ))
}

fn with_target(subject: &Value, n: Replicas) -> Reported {
    let held = [
        "spec.updateStrategy.partition",
        "spec.updateStrategy.rollingUpdate.partition",
    ]
    .iter()
    .find_map(|path| share(field::at(subject, path)?, n.desired))
    .unwrap_or(0);
    let expected = field::int(subject, "status.expectedUpdatedReplicas").map(|n| n.max(0));
    Reported {
        n,
        target: expected.unwrap_or(n.desired - held).clamp(0, n.desired),
        is_partitioned: held > 0,
    }
}

/// A number, or a percentage of the replicas, rounded up.
fn share(value: &Value, of: i64) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number.clamp(0, of));
    }
    let percent: i64 = value.as_str()?.trim().strip_suffix('%')?.parse().ok()?;
    let percent = percent.clamp(0, 100);
    Some(of.saturating_mul(percent).saturating_add(99) / 100)
}

/// Nothing is asked for. A resource that counts nodes and needs none is complete.
fn zero(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if field::int(fleet.scene.subject, "status.desiredNumberScheduled").is_some() {
        return None;
    }
    fleet.zero()
}

/// Shortage beats surplus; a `Failed*` condition names it.
fn shortage(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let (scene, n) = (fleet.scene, &fleet.n);
    let is_short = n.current < n.desired || n.ready < n.desired || fleet.effective < n.desired;
    let groups = fleet.groups(fleet.blocked(is_short));
    if let Some(mut draft) = fleet.blocked_draft(&groups) {
        if !is_short {
            draft.severity = Severity::Warning;
        }
        return Some(draft);
    }
    if !is_short {
        return None;
    }
    let named = field::list(scene.subject, "status.conditions")
        .iter()
        .filter(|condition| field::text(condition, "status") == "True")
        .map(|condition| field::text(condition, "type"))
        .find(|name| name.starts_with("Failed") && crate::text::is_token(name));
    if let Some(name) = named {
        let mut draft = condition_draft(scene, name)?;
        name.clone_into(&mut draft.reason);
        draft.severity = fleet.severity();
        return Some(draft);
    }
    if n.current < n.desired {
        return Some(creating(fleet));
    }
    if n.ready >= n.desired && fleet.effective == n.available {
        return Some(settling(fleet));
    }
    let progressing = field::condition(scene.subject, "Progressing");
    let moves = match progressing {
        Some(progressing) => {
            field::text(progressing, "status") != "False"
                && field::text(progressing, "reason") != "NewReplicaSetAvailable"
        }
        None => common::changed_recently(scene, fleet.start_grace()),
    };
    let starts = fleet.has_starting() || (moves && !fleet.pods_known());
    Some(if starts {
        fleet.starting()
    } else {
        fleet.short("ReplicasUnavailable")
    })
}

fn rollout(fleet: &Fleet<'_, '_, '_>, reported: &Reported) -> Option<Draft> {
    let (subject, n) = (fleet.scene.subject, &fleet.n);
    let hash = field::text(subject, "status.currentPodHash");
    let differs = |path: &str| {
        let other = field::text(subject, path);
        !hash.is_empty() && !other.is_empty() && other != hash
    };
    if n.updated < reported.target || differs("status.blueGreen.activeSelector") {
        return Some(fleet.wait("RollingOut", "Rolling out", "更新中"));
    }
    if reported.is_partitioned && n.updated < n.desired {
        return Some(partitioned(n.updated, n.desired));
    }
    if n.current > n.updated.max(n.desired) {
        return Some(fleet.wait(
            "RemovingOldReplicas",
            "Removing old replicas",
            "正在移除旧副本",
        ));
    }
    if n.current > n.desired {
        return Some(fleet.wait("ScalingDown", "Scaling down", "缩容中"));
    }
    let is_canary_open = differs("status.stableRS") || differs("status.canary.stableRS");
    is_canary_open.then(|| fleet.wait("RollingOut", "Rolling out", "更新中"))
}
