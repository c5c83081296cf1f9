//! A Pod as the subject: its health is the verdict.

use crate::cause;
use crate::field;
use crate::pod::health;
use crate::scene::{Draft, Scene};
use crate::verdict::{Counts, Severity, Status};

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let health = health::judge(scene.subject, &scene.env());
    let is_ready = health.status == Status::Running;
    let mut draft = Draft::new(
        health.status,
        health.severity,
        &health.reason,
        health.message.clone(),
    )
    .details(&health)
    .counts(Counts {
        desired: Some(1),
        current: Some(1),
        ready: Some(i64::from(is_ready)),
        ..Counts::default()
    });
    if health.severity >= Severity::Warning {
        draft.causes.push(cause::of_pod(&health));
    }
    if health.status == Status::Deleting && health.severity == Severity::Warning {
        let names = health::finalizers(scene.subject);
        if !names.is_empty() && field::text(scene.subject, "spec.nodeName").is_empty() {
            draft.step = Some("FinalizersPending");
        }
    }
    draft
}
