//! Deployments: rules D1 to D13.

use serde_json::Value;

use super::common;
use super::fleet::{Fleet, Replicas, Revision, Terminating, newest_revision};
use crate::cause::Group;
use crate::creation;
use crate::field;
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive};
use crate::verdict::{Severity, Status};

const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let fleet = Fleet::new(
        scene,
        replicas(scene.subject),
        revision(scene),
        Terminating::Replaced,
    );
    let draft = common::deletion(scene)
        .or_else(|| common::unobserved(scene))
        .or_else(|| common::unreadable(scene))
        .or_else(|| fleet.lost_pods())
        .or_else(|| fleet.zero())
        .or_else(|| creation_failed(&fleet))
        .or_else(|| blocked(&fleet))
        .or_else(|| stalled(&fleet))
        .or_else(|| paused(&fleet))
        .or_else(|| moving(&fleet))
        .or_else(|| short(&fleet))
        .or_else(|| unavailable(&fleet))
        .unwrap_or_else(|| fleet.healthy());
    draft.counts(fleet.counts())
}

fn replicas(subject: &Value) -> Replicas {
    Replicas {
        desired: field::int(subject, "spec.replicas").unwrap_or(1).max(0),
        current: field::count(subject, "status.replicas"),
        updated: field::count(subject, "status.updatedReplicas"),
        ready: field::count(subject, "status.readyReplicas"),
        available: field::count(subject, "status.availableReplicas"),
    }
}

/// The ReplicaSet with the largest revision; without `ReplicaSets` the hash of the newest pod.
fn revision<'a>(scene: &Scene<'_, 'a>) -> Revision<'a> {
    let newest = newest_replica_set(scene);
    match newest {
        Some(set) if !field::label(set, HASH).is_empty() => {
            Revision::Label(HASH, field::label(set, HASH))
        }
        Some(set) if !field::uid(set).is_empty() => Revision::Owner(field::uid(set)),
        _ => newest_revision(scene.known_pods(), HASH),
    }
}

fn newest_replica_set<'a>(scene: &Scene<'_, 'a>) -> Option<&'a Value> {
    let sets = scene.related.replica_sets.as_deref()?;
    sets.iter().copied().max_by_key(|set| {
        let revision: i64 = field::annotation(set, REVISION).parse().unwrap_or(0);
        (
            revision,
            field::time(set, "metadata.creationTimestamp"),
            field::name(set),
        )
    })
}

fn is_paused(fleet: &Fleet<'_, '_, '_>) -> bool {
    field::is_set(fleet.scene.subject, "spec.paused")
}

/// D6: pods, or the new ReplicaSet, cannot be created.
fn creation_failed(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let (subject, n) = (fleet.scene.subject, &fleet.n);
    if let Some(failure) = field::condition(subject, "ReplicaFailure") {
        // While paused only scaling is synced, so the condition may be about a template of the past.
        let is_current = n.current < n.desired || (n.updated < n.desired && !is_paused(fleet));
        let stands = field::text(failure, "status") == "True"
            && field::text(failure, "reason") != "FailedDelete"
            && is_current;
        if stands {
            let raw =
                newer_event(fleet, failure).unwrap_or_else(|| field::text(failure, "message"));
            return Some(creation_draft(
                fleet,
                creation::reason(raw),
                "ReplicaFailure",
                raw,
            ));
        }
    }
    let progressing = field::condition(subject, "Progressing")?;
    let failed = field::text(progressing, "status") == "False"
        && field::text(progressing, "reason") == "ReplicaSetCreateError";
    if !failed {
        return None;
    }
    let raw = field::text(progressing, "message");
    let reason = match creation::reason(raw) {
        "FailedCreate" => "ReplicaSetCreateError",
        reason => reason,
    };
    Some(creation_draft(fleet, reason, "Progressing", raw))
}

/// The message of a `FailedCreate` event on the new ReplicaSet; the condition's own is not renewed
/// while it stays True.
fn newer_event<'a>(fleet: &Fleet<'_, '_, 'a>, failure: &Value) -> Option<&'a str> {
    let set = newest_replica_set(fleet.scene)?;
    let event = fleet.scene.events.warning(set, &["FailedCreate"])?;
    let written = field::time(failure, "lastTransitionTime");
    (event.at > written).then_some(event.message)
}

/// `NotReady` because pods cannot be created.
pub(crate) fn creation_draft(
    fleet: &Fleet<'_, '_, '_>,
    reason: &str,
    condition: &str,
    raw: &str,
) -> Draft {
    let (missing, desired) = ((fleet.n.desired - fleet.n.current).max(0), fleet.n.desired);
    let text = if missing > 0 {
        Text::new(
            format!("{missing} of {desired} replicas cannot be created"),
            format!("{desired} 个副本中 {missing} 个无法创建"),
        )
    } else if fleet.n.updated < desired {
        Text::new(
            "Replicas of the new revision cannot be created",
            "新版本的副本无法创建",
        )
    } else {
        Text::new("Replicas cannot be created", "副本无法创建")
    };
    let others = fleet.other_troubles(&[]);
    fleet
        .not_ready(reason, text.quoting(&decisive(raw)))
        .own_cause(
            fleet.scene.subject,
            &format!("status.conditions[{condition}]"),
            raw,
        )
        .groups(&others)
}

/// D7: pods that will not become ready by waiting.
fn blocked(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let n = &fleet.n;
    let is_short = n.updated < n.desired || fleet.effective < n.desired || n.current > n.updated;
    let groups = fleet.groups(fleet.blocked(is_short));
    let top = groups.first()?;
    if !is_short {
        // D7c: the counts are complete; latched between two crashes, or a surplus pod.
        let mut draft = fleet.blocked_draft(&groups)?;
        draft.severity = Severity::Warning;
        return Some(draft);
    }
    // Asked last: a grace period that does not matter must not ask for another evaluation.
    if top.is_new || is_paused(fleet) || is_overdue(fleet) || fleet.is_stalled() {
        return fleet.blocked_draft(&groups);
    }
    Some(old_revision_fails(fleet, &groups))
}

/// D7b: only the old revision fails while the rollout moves; a fix is on its way.
fn old_revision_fails(fleet: &Fleet<'_, '_, '_>, groups: &[Group<'_, '_>]) -> Draft {
    let (updated, desired) = (fleet.n.updated, fleet.n.desired);
    let text = groups
        .first()
        .map_or_else(|| Text::quote(""), Group::message);
    let severity = if fleet.unavailable() > 0 {
        fleet.severity()
    } else {
        Severity::Info
    };
    Draft::new(
        Status::Waiting,
        severity,
        "RollingOut",
        Text::new(
            format!("Rolling out, {updated} of {desired} replicas on the new revision; the old revision is failing: {}", text.en),
            format!("更新中,{desired} 个副本中 {updated} 个为新版本;旧版本异常:{}", text.zh),
        ),
    )
    .groups(groups)
}

/// Whether the controller has given up waiting for progress.
fn is_overdue(fleet: &Fleet<'_, '_, '_>) -> bool {
    field::condition_status(fleet.scene.subject, "Progressing") == "False"
}

/// D8: the rollout has stalled. A paused rollout that serves in full was stopped on purpose.
fn stalled(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let n = &fleet.n;
    let is_complete = n.updated == n.desired && n.current == n.desired && n.available >= n.desired;
    let is_held = is_paused(fleet) && fleet.effective >= n.desired;
    if !is_overdue(fleet) || is_complete || is_held {
        return None;
    }
    let progressing = field::condition(fleet.scene.subject, "Progressing")?;
    let raw = field::text(progressing, "message");
    let (updated, available, desired) = (n.updated, fleet.effective, n.desired);
    let message = Text::new(
        format!("Rollout stalled: {updated} of {desired} replicas on the new revision, {available} available"),
        format!("发布超时:{desired} 个副本中 {updated} 个为新版本,{available} 个可用"),
    )
    .quoting(&decisive(raw));
    Some(
        fleet
            .not_ready("ProgressDeadlineExceeded", message)
            .own_cause(fleet.scene.subject, "status.conditions[Progressing]", raw)
            .since(field::time(progressing, "lastTransitionTime")),
    )
}

/// D9: held by the user, which is no excuse for missing replicas.
fn paused(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if !is_paused(fleet) {
        return None;
    }
    let (available, desired) = (fleet.effective, fleet.n.desired);
    // With pods unknown a recent write may still be taking effect.
    let may_be_starting = fleet.has_starting()
        || (!fleet.pods_known() && common::changed_recently(fleet.scene, fleet.start_grace()));
    if available < desired && !may_be_starting {
        return Some(fleet.short("ReplicasUnavailable"));
    }
    let updated = fleet.n.updated;
    Some(Draft::waiting(
        "Paused",
        format!(
            "Paused: {available} of {desired} replicas available, {updated} on the newest revision"
        ),
        format!("已暂停:{desired} 个副本中 {available} 个可用,{updated} 个为最新版本"),
    ))
}

/// D10: pods are still being made or removed.
fn moving(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let n = &fleet.n;
    if n.current < n.desired {
        return Some(creating(fleet));
    }
    if n.updated < n.desired {
        return Some(fleet.wait("RollingOut", "Rolling out", "更新中"));
    }
    (n.current > n.updated).then(|| {
        fleet.wait(
            "RemovingOldReplicas",
            "Removing old replicas",
            "正在移除旧副本",
        )
    })
}

/// Fewer pods exist than asked for.
pub(crate) fn creating(fleet: &Fleet<'_, '_, '_>) -> Draft {
    if fleet.n.current == 0 {
        fleet.wait("Creating", "Creating", "创建中")
    } else {
        fleet.wait("ScalingUp", "Scaling up", "扩容中")
    }
}

/// D11: all pods exist, not all are available.
fn short(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.effective >= fleet.n.desired {
        return None;
    }
    if let Some(draft) = settling_or_starting(fleet) {
        return Some(draft);
    }
    if fleet.pods_known() {
        return Some(fleet.short("ReplicasUnavailable"));
    }
    let subject = fleet.scene.subject;
    let grace = fleet.start_grace();
    let Some(progressing) = field::condition(subject, "Progressing") else {
        return Some(if common::changed_recently(fleet.scene, grace) {
            fleet.starting()
        } else {
            fleet.short("ReplicasUnavailable")
        });
    };
    let is_finished = field::text(progressing, "reason") == "NewReplicaSetAvailable";
    if field::text(progressing, "status") != "False" && !is_finished {
        return Some(fleet.starting());
    }
    let scaled = field::scaled_at(subject).is_some_and(|at| !fleet.scene.clock.past(at, grace));
    if is_finished && scaled {
        return Some(fleet.wait("ScalingUp", "Scaling up", "扩容中"));
    }
    Some(fleet.short("ReplicasUnavailable"))
}

/// Ready but not settled, or starting, as far as the pods tell.
pub(crate) fn settling_or_starting(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.n.ready >= fleet.n.desired && fleet.effective == fleet.n.available {
        return Some(settling(fleet));
    }
    fleet.has_starting().then(|| fleet.starting())
}

/// Ready, but not yet for `minReadySeconds`.
pub(crate) fn settling(fleet: &Fleet<'_, '_, '_>) -> Draft {
    fleet.wait("WaitingForAvailability", "Ready, settling", "就绪观察期")
}

/// D12: the controller denies availability that the counts show.
fn unavailable(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let available = field::condition(fleet.scene.subject, "Available")?;
    if field::text(available, "status") != "False" {
        return None;
    }
    let raw = field::text(available, "message");
    let message = Text::new(
        "The controller reports that minimum availability is not met",
        "控制器报告未满足最小可用",
    )
    .quoting(&decisive(raw));
    Some(
        Draft::new(
            Status::NotReady,
            Severity::Error,
            "MinimumReplicasUnavailable",
            message,
        )
        .own_cause(fleet.scene.subject, "status.conditions[Available]", raw)
        .since(field::time(available, "lastTransitionTime")),
    )
}
