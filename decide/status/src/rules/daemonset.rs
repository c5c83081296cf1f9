//! `DaemonSets`: rules DS1 to DS11.

use serde_json::Value;

use super::common;
use super::deployment::{creating, settling};
use super::fleet::{Fleet, Replicas, Terminating, newest_revision};
use super::statefulset::{event_draft, on_delete, standing_creation_failure};
use crate::field;
use crate::pod::health::Class;
use crate::scene::{Draft, Scene};
use crate::text::Text;
use crate::verdict::{Severity, Status};

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let revision = newest_revision(scene.known_pods(), "controller-revision-hash");
    // A pod that hangs on a dead node keeps its node from getting another one.
    let fleet = Fleet::new(scene, replicas(scene.subject), revision, Terminating::Holds);
    let draft = common::deletion(scene)
        .or_else(|| common::unobserved(scene))
        .or_else(|| uncounted(scene))
        .or_else(|| common::unreadable(scene))
        .or_else(|| fleet.lost_pods())
        .or_else(|| creation_failed(&fleet))
        .or_else(|| blocked(&fleet))
        .or_else(|| no_nodes(&fleet))
        .or_else(|| scheduling(&fleet))
        .or_else(|| short(&fleet))
        .or_else(|| rollout(&fleet))
        .or_else(|| misscheduled(&fleet))
        .unwrap_or_else(|| fleet.healthy());
    draft.counts(fleet.counts())
}

pub(crate) fn replicas(subject: &Value) -> Replicas {
    let ready = field::count(subject, "status.numberReady");
    Replicas {
        desired: field::count(subject, "status.desiredNumberScheduled"),
        current: field::count(subject, "status.currentNumberScheduled"),
        updated: field::count(subject, "status.updatedNumberScheduled"),
        ready,
        available: ready,
    }
}

fn is_on_delete(subject: &Value) -> bool {
    field::text(subject, "spec.updateStrategy.type") == "OnDelete"
}

/// DS2: the controller has not counted nodes yet.
fn uncounted(scene: &Scene<'_, '_>) -> Option<Draft> {
    field::int(scene.subject, "status.desiredNumberScheduled")
        .is_none()
        .then(|| common::not_observed(scene))
}

/// `DS4b`: pods cannot be created.
fn creation_failed(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.n.current >= fleet.n.desired {
        return None;
    }
    standing_creation_failure(fleet.scene).map(|event| event_draft(fleet, &event))
}

/// DS5: blocked pods; Failed ones count while ready ones are missing.
fn blocked(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let is_short = fleet.effective < fleet.n.desired;
    let mut pods = fleet.blocked(is_short);
    if is_short {
        pods.extend(fleet.of_class(Class::Failed));
    }
    let groups = fleet.groups(pods);
    let mut draft = fleet.blocked_draft(&groups)?;
    if !is_short {
        draft.severity = Severity::Warning;
    }
    Some(draft)
}

/// DS6: no node is eligible.
fn no_nodes(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.n.desired > 0 {
        return None;
    }
    if field::count(fleet.scene.subject, "status.numberMisscheduled") > 0 {
        return Some(fleet.wait("ScalingDown", "Scaling down", "缩容中"));
    }
    Some(Draft::new(
        Status::Running,
        Severity::Info,
        "NoEligibleNodes",
        Text::new(
            "No node matches, so no pod is needed",
            "没有匹配的节点,无需运行 Pod",
        ),
    ))
}

/// DS7: not every node has its pod yet.
fn scheduling(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    (fleet.n.current < fleet.n.desired).then(|| creating(fleet))
}

/// DS8: not every pod is ready.
fn short(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    if fleet.effective >= fleet.n.desired {
        return None;
    }
    if fleet.has_starting() {
        return Some(fleet.starting());
    }
    if !fleet.pods_known() {
        if !is_on_delete(fleet.scene.subject) && fleet.n.updated < fleet.n.desired {
            return Some(fleet.wait("RollingOut", "Rolling out", "更新中"));
        }
        if common::changed_recently(fleet.scene, fleet.start_grace()) {
            return Some(fleet.starting());
        }
    }
    Some(fleet.short("ReplicasUnavailable"))
}

/// DS9 and DS10: every node is served, not every pod is new or settled.
fn rollout(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let (subject, n) = (fleet.scene.subject, &fleet.n);
    if is_on_delete(subject) {
        let updated = field::int(subject, "status.updatedNumberScheduled")?;
        return (updated < n.desired).then(|| on_delete(updated, n.desired));
    }
    if n.updated < n.desired {
        return Some(fleet.wait("RollingOut", "Rolling out", "更新中"));
    }
    let available = field::count(subject, "status.numberAvailable");
    (available < n.desired).then(|| settling(fleet))
}

/// DS11: pods run where they should not.
fn misscheduled(fleet: &Fleet<'_, '_, '_>) -> Option<Draft> {
    let number = field::count(fleet.scene.subject, "status.numberMisscheduled");
    if number == 0 {
        return None;
    }
    let desired = fleet.n.desired;
    Some(
        Draft::new(
            Status::Running,
            Severity::Warning,
            "Misscheduled",
            Text::new(
                format!("All {desired} nodes are served, but {number} more run a pod that they should not"),
                format!("{desired} 个节点均已就绪,但另有 {number} 个节点运行了不应运行的 Pod"),
            ),
        )
        .own_cause(fleet.scene.subject, "status.numberMisscheduled", &number.to_string()),
    )
}
