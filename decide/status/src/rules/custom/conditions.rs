//! X8: resources that report by conditions.

use serde_json::Value;

use super::passed_through;
use crate::field;
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive};
use crate::verdict::{Severity, Status};

/// Conditions that say "all is well" when True, most telling first.
const POSITIVE: [&str; 4] = ["Ready", "Available", "Healthy", "Succeeded"];

/// Whether a condition was written for an older spec.
fn is_outdated(subject: &Value, condition: &Value) -> bool {
    let generation = field::int(subject, "metadata.generation");
    let observed = field::int(condition, "observedGeneration");
    observed.is_some_and(|observed| generation.is_some_and(|generation| observed < generation))
}

/// The verdict of the first known condition.
pub(super) fn told(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    if let Some(reconciling) = field::condition(subject, "Reconciling")
        && field::text(reconciling, "status") == "True"
    {
        let draft = draft(reconciling, "Reconciling", Status::Waiting, Severity::Info);
        return Some(draft);
    }
    let (name, condition) = POSITIVE
        .iter()
        .find_map(|name| Some((*name, field::condition(subject, name)?)))?;
    if field::text(condition, "status") == "True"
        && let Some(synced) = field::condition(subject, "Synced")
        && field::text(synced, "status") == "False"
    {
        // What runs is not what was asked for, and cannot be made so.
        return judged(scene, "Synced", synced);
    }
    judged(scene, name, condition)
}

/// A `Ready` or `Healthy` that is not True although the counts are complete.
pub(super) fn contradicting(scene: &Scene<'_, '_>) -> Option<Draft> {
    ["Ready", "Healthy"].iter().find_map(|name| {
        let condition = field::condition(scene.subject, name)?;
        if field::text(condition, "status") == "True" {
            return None;
        }
        judged(scene, name, condition)
    })
}

/// The verdict of one condition that is good when True; `None` for a status that is none.
pub(super) fn judged(scene: &Scene<'_, '_>, name: &str, condition: &Value) -> Option<Draft> {
    if is_outdated(scene.subject, condition) {
        return Some(super::not_observed());
    }
    let since = field::time(condition, "lastTransitionTime");
    let is_due = || {
        scene
            .clock
            .known_past(since, scene.config.condition_grace_seconds)
    };
    let (status, severity) = match field::text(condition, "status") {
        "True" => (Status::Running, Severity::Ok),
        "False" | "Degraded" if is_due() => (Status::NotReady, Severity::Error),
        "Unknown" if is_due() => (Status::Exception, Severity::Error),
        "False" | "Degraded" | "Unknown" => (Status::Waiting, Severity::Info),
        "" => return None,
        // No status at all counts as one that nobody knows.
        _ if is_due() => (Status::Exception, Severity::Error),
        _ => (Status::Waiting, Severity::Info),
    };
    let mut draft = draft(condition, name, status, severity).since(since);
    if status == Status::Exception {
        "ReadyUnknown".clone_into(&mut draft.reason);
    }
    if severity >= Severity::Warning {
        let field = format!("status.conditions[{name}]");
        draft = draft.own_cause(scene.subject, &field, field::text(condition, "message"));
    }
    Some(draft)
}

fn draft(condition: &Value, name: &str, status: Status, severity: Severity) -> Draft {
    let value = field::text(condition, "status");
    let otherwise = if value == "True" || name == "Reconciling" {
        name.to_owned()
    } else {
        format!("Not{name}")
    };
    let reason = passed_through(field::text(condition, "reason"), &otherwise);
    let message = Text::new(
        format!("The resource reports {name}={value}"),
        format!("资源报告 {name}={value}"),
    )
    .quoting(&decisive(field::text(condition, "message")));
    Draft::new(status, severity, &reason, message)
}
