//! Beyond X9: what a resource says outside the usual places. Operators invent condition types; their
//! last word still tells which way they point.

use serde_json::Value;

use super::{condition_draft, conditions, is_bad_word, meaning, phase_draft, word};
use crate::field;
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive};
use crate::verdict::{Severity, Status};

/// Where operators put one word on the health of what they run.
const HEALTHS: [&str; 3] = ["health", "healthStatus", "robustness"];

/// How the types of conditions end that are bad when True.
const BAD_ENDINGS: [&str; 8] = [
    "NotReady",
    "Failed",
    "Failure",
    "Error",
    "ErrorOccurred",
    "Invalid",
    "Unhealthy",
    "Degraded",
];

/// How the types of conditions end that are bad when False.
const GOOD_ENDINGS: [&str; 11] = [
    "Ready",
    "Available",
    "Healthy",
    "Synced",
    "Synchronized",
    "Success",
    "Succeeded",
    "Programmed",
    "Deployed",
    "Configured",
    "Valid",
];

/// A health that is bad by its name, whatever the phase says.
pub(super) fn unhealthy(scene: &Scene<'_, '_>) -> Option<Draft> {
    let (path, said) = HEALTHS.iter().find_map(|name| {
        let path = format!("status.{name}");
        let said = field::some_text(scene.subject, &path)?;
        Some((path, said))
    })?;
    let lower = said.to_lowercase();
    let severity = match lower.as_str() {
        "yellow" | "degraded" => Severity::Warning,
        "red" | "faulted" | "critical" => Severity::Error,
        other if is_bad_word(other) => Severity::Error,
        _ => return None,
    };
    let message = Text::new(
        format!("The resource reports health {}", decisive(said)),
        format!("资源报告健康状况 {}", decisive(said)),
    );
    Some(
        Draft::new(Status::NotReady, severity, "Unhealthy", message).own_cause(
            scene.subject,
            &path,
            said,
        ),
    )
}

/// The verdict by conditions of types that nobody agreed on, else by `status.state`.
pub(super) fn told(scene: &Scene<'_, '_>) -> Option<Draft> {
    bad_condition(scene)
        .or_else(|| state(scene))
        .or_else(|| good_condition(scene))
}

fn types(subject: &Value) -> impl Iterator<Item = (&str, &Value)> {
    field::list(subject, "status.conditions")
        .iter()
        .map(|condition| (field::text(condition, "type"), condition))
}

fn ends(kind: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| kind.ends_with(ending))
}

fn is_good(kind: &str) -> bool {
    // Whole words of the Gateway API; other conditions end so and mean little.
    matches!(kind, "Accepted" | "ResolvedRefs")
        || ends(kind, &GOOD_ENDINGS) && !ends(kind, &BAD_ENDINGS)
}

fn bad_condition(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    let failed = types(subject).find(|(kind, condition)| {
        ends(kind, &BAD_ENDINGS) && field::text(condition, "status") == "True"
    });
    if let Some((kind, _)) = failed {
        return condition_draft(scene, kind);
    }
    let (kind, condition) = types(subject).find(|(kind, condition)| {
        is_good(kind) && matches!(field::text(condition, "status"), "False" | "Unknown")
    })?;
    conditions::judged(scene, kind, condition)
}

fn good_condition(scene: &Scene<'_, '_>) -> Option<Draft> {
    let (kind, condition) = types(scene.subject).find(|(kind, _)| is_good(kind))?;
    conditions::judged(scene, kind, condition)
}

/// `status.state`, read like a phase.
fn state(scene: &Scene<'_, '_>) -> Option<Draft> {
    if field::some_text(scene.subject, "status.phase").is_some() {
        return None;
    }
    let (reason, state) = word(field::some_text(scene.subject, "status.state")?);
    let (status, severity) = if is_bad_word(&state) {
        (Status::NotReady, Severity::Error)
    } else {
        meaning(&state)?
    };
    Some(phase_draft(scene, status, severity, &reason))
}
