//! `StatefulSets`: rules S1 to S13. Their controller sets no conditions; creation failures are told by
//! events only.

use serde_json::Value;

use super::common;
use super::deployment::{creating, settling};
use super::fleet::{Fleet, Replicas, Revision, Terminating};
use crate::creation;
use crate::events::Event;
use crate::field;
use crate::pod::health::{Class, PodHealth};
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive};
use crate::verdict::{Severity, Status};

const HASH: &str = "controller-revision-hash";

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let subject = scene.subject;
    let revision = match field::text(subject, "status.updateRevision") {
        "" => Revision::Any,
        revision => Revision::Label(HASH, revision),
    };
    let fleet = Fleet::new(scene, replicas(subject), revision, Terminating::Replaced);
    let draft = common::deletion(scene)
        .or_else(|| common::unobserved(scene))
        .or_else(|| common::unreadable(scene))
        .or_else(|| fleet.lost_pods())
        .or_else(|| terminating_on_lost_node(&fleet))
        .or_else(|| fleet.zero())
        .or_else(|| creation_failed(&fleet))
        .or_else(|| broken_pod_blocks(&fleet))
        .or_else(|| blocked(&fleet))
        .or_else(|| scaling(&fleet))
        .or_else(|| short(&fleet))
        .or_else(|| rollout(&fleet))
        .or_else(|| settles(&fleet))
        .unwrap_or_else(|| fleet.healthy());
    draft.counts(fleet.counts())
}

fn replicas(subject: &Value) -> Replicas {
    let ready = field::count(subject, "status.readyReplicas");
    Replicas {
        desired: field::int(subject, "spec.replicas").unwrap_or(1).max(0),
        current: field::count(subject, "status.replicas"),
        updated: field::count(subject, "status.updatedReplicas"),
        ready,
        available: ready,
    }
}

/// S4b: the controller will not replace a pod that never finishes terminating.
fn terminating_on_lost_node(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let stuck: Vec<_> = fleet
        .of_class(Class::Lost)
        .filter(|pod| pod.status == Status::Deleting)
        .collect();
    let groups = fleet.groups(stuck);
    let top = groups.first()?;
    if fleet.effective >= fleet.n.desired {
        return None;
    }
    let (missing, desired, text) = (fleet.unavailable(), fleet.n.desired, top.message());
    let mut draft = Draft::new(
        Status::Exception,
        fleet.severity(),
        top.first.node_reason,
        Text::new(
            format!(
                "{missing} of {desired} replicas cannot be replaced: {}",
                text.en
            ),
            format!("{desired} 个副本中 {missing} 个无法被替换:{}", text.zh),
        ),
    )
    .groups(&groups);
    draft.step = Some("TerminationStuckOnLostNode");
    Some(draft)
}

/// S6: pods cannot be created.
fn creation_failed(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.n.current >= fleet.n.desired {
        return None;
    }
    standing_creation_failure(fleet.scene).map(|event| event_draft(fleet, &event))
}

/// The newest `FailedCreate` event on the subject, unless a pod has been created since.
pub(crate) fn standing_creation_failure<'a>(scene: &Scene<'_, 'a>) -> Option<Event<'a>> {
    let event = scene.events.warning(scene.subject, &["FailedCreate"])?;
    let newest = scene
        .known_pods()
        .iter()
        .filter_map(|pod| field::time(pod.pod, "metadata.creationTimestamp"))
        .max();
    (newest.is_none() || newest <= event.at).then_some(event)
}

/// `NotReady` because an event says that pods cannot be created.
pub(crate) fn event_draft(fleet: &Fleet<'_, '_, '_>, event: &Event<'_>) -> Draft {
    let (missing, desired) = ((fleet.n.desired - fleet.n.current).max(0), fleet.n.desired);
    let others = fleet.other_troubles(&[]);
    fleet
        .not_ready(
            creation::reason(event.message),
            Text::new(
                format!("{missing} of {desired} replicas cannot be created"),
                format!("{desired} 个副本中 {missing} 个无法创建"),
            )
            .quoting(&decisive(event.message)),
        )
        .own_cause(fleet.scene.subject, "events[FailedCreate]", event.message)
        .since(event.at)
        .groups(&others)
}

struct Update<'a> {
    current: &'a str,
    wanted: &'a str,
    is_on_delete: bool,
    /// Pods with a lower ordinal keep the old revision.
    partition: i64,
    first_ordinal: i64,
}

impl<'a> Update<'a> {
    fn of(subject: &'a Value) -> Self {
        Self {
            current: field::text(subject, "status.currentRevision"),
            wanted: field::text(subject, "status.updateRevision"),
            is_on_delete: field::text(subject, "spec.updateStrategy.type") == "OnDelete",
            partition: field::count(subject, "spec.updateStrategy.rollingUpdate.partition"),
            first_ordinal: field::count(subject, "spec.ordinals.start"),
        }
    }

    fn differs(&self) -> bool {
        self.current != self.wanted
    }

    /// How many pods are to have the new revision.
    fn target(&self, desired: i64) -> i64 {
        (desired - self.held()).max(0)
    }

    /// How many pods the partition holds back.
    fn held(&self) -> i64 {
        (self.partition - self.first_ordinal).max(0)
    }
}

/// S7a: with ordered pods, one that never became ready is not replaced by a corrected template.
fn broken_pod_blocks(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let subject = fleet.scene.subject;
    let update = Update::of(subject);
    let is_ordered = field::text(subject, "spec.podManagementPolicy") != "Parallel";
    if !update.differs() || update.is_on_delete || !is_ordered {
        return None;
    }
    let is_held_back = |pod: &PodHealth<'_>| {
        field::name(pod.pod)
            .rsplit_once('-')
            .and_then(|(_, ordinal)| ordinal.parse::<i64>().ok())
            .is_some_and(|ordinal| ordinal < update.partition)
    };
    let broken: Vec<_> = fleet
        .blocked(fleet.effective < fleet.n.desired)
        .into_iter()
        .filter(|pod| {
            let revision = field::label(pod.pod, HASH);
            !revision.is_empty()
                && revision != update.wanted
                && pod.reason != "Unschedulable"
                && !is_held_back(pod)
        })
        .collect();
    let groups = fleet.groups(broken);
    let top = groups.first()?;
    let (name, text) = (field::name(top.first.pod), top.message());
    let message = Text::new(
        format!(
            "Rollout blocked by broken pod {name} of an older revision, which is not replaced by itself: {}",
            text.en
        ),
        format!(
            "发布被旧版本的损坏 Pod {name} 阻塞,它不会被自动替换:{}",
            text.zh
        ),
    );
    let others = fleet.other_troubles(&groups);
    let command = format!(
        "kubectl -n {} delete pod {}",
        crate::next::quoted(field::namespace(top.first.pod)),
        crate::next::quoted(name)
    );
    Some(
        fleet
            .not_ready("RolloutBlockedByBrokenPod", message)
            .groups(&groups)
            .groups(&others)
            .command(command),
    )
}

/// S7b: pods that will not become ready by waiting.
fn blocked(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let is_short = fleet.effective < fleet.n.desired || fleet.n.current < fleet.n.desired;
    let groups = fleet.groups(fleet.blocked(is_short));
    let mut draft = fleet.blocked_draft(&groups)?;
    if !is_short {
        draft.severity = Severity::Warning;
    }
    Some(draft)
}

/// S8: pods are still being made or removed.
fn scaling(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.n.current < fleet.n.desired {
        return Some(creating(fleet));
    }
    (fleet.n.current > fleet.n.desired).then(|| fleet.wait("ScalingDown", "Scaling down", "缩容中"))
}

/// S9: not all pods are ready.
fn short(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.effective >= fleet.n.desired {
        return None;
    }
    let update = Update::of(fleet.scene.subject);
    if fleet.has_starting() {
        return Some(fleet.starting());
    }
    if !fleet.pods_known() {
        if update.differs() && !update.is_on_delete {
            return Some(fleet.wait("RollingOut", "Rolling out", "更新中"));
        }
        if common::changed_recently(fleet.scene, fleet.start_grace()) {
            return Some(fleet.starting());
        }
    }
    Some(fleet.short("ReplicasUnavailable"))
}

/// S10, S11 and S11b: all pods serve, not all have the new revision.
fn rollout(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let subject = fleet.scene.subject;
    let update = Update::of(subject);
    let (updated, desired) = (fleet.n.updated, fleet.n.desired);
    if update.is_on_delete {
        return (update.differs() && updated < desired).then(|| on_delete(updated, desired));
    }
    if !update.differs() {
        let started = field::count(subject, "status.currentReplicas");
        let unknown = update.wanted.is_empty();
        return (unknown && started < desired)
            .then(|| fleet.wait("RollingOut", "Rolling out", "更新中"));
    }
    if updated < update.target(desired) {
        return Some(fleet.wait("RollingOut", "Rolling out", "更新中"));
    }
    (update.held() > 0).then(|| partitioned(updated, desired))
}

/// Serves; the rest of the update waits for the user to delete pods.
pub(crate) fn on_delete(updated: i64, desired: i64) -> Draft {
    Draft::new(
        Status::Running,
        Severity::Info,
        "UpdatePendingOnDelete",
        Text::new(
            format!(
                "All {desired} replicas are ready, {updated} on the new revision; the others are updated when their pods are deleted"
            ),
            format!("{desired} 个副本全部就绪,{updated} 个为新版本;其余在删除 Pod 后更新"),
        ),
    )
}

/// Serves; the partition holds the rest of the update back.
pub(crate) fn partitioned(updated: i64, desired: i64) -> Draft {
    Draft::new(
        Status::Running,
        Severity::Info,
        "PartitionedRollout",
        Text::new(
            format!(
                "All {desired} replicas are ready, {updated} on the new revision as the partition asks"
            ),
            format!("{desired} 个副本全部就绪,按分区设定 {updated} 个为新版本"),
        ),
    )
}

/// S12: ready, but not yet for `minReadySeconds`.
fn settles(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let subject = fleet.scene.subject;
    let is_settling = field::count(subject, "spec.minReadySeconds") > 0
        && field::count(subject, "status.availableReplicas") < fleet.n.desired;
    is_settling.then(|| settling(fleet))
}
