//! Custom resources: rules X1 to X10, by the common conventions.
//!
//! Where the specification is silent: a paused resource whose replicas are missing is judged by its
//! counts (as D9); complete counts do not hide a `Ready` or `Healthy` condition that is not True,
//! since an operator's `Ready` says more than its replica numbers; a phase that nobody knows is shown
//! neutrally; counts are only trusted when the resource reports at least one. A condition with an
//! `observedGeneration` of its own that lies behind is not believed. A resource that says nothing in the
//! usual places is read by its other conditions, its state and its health (see [`signs`]).

mod conditions;
mod jobs;
mod replicas;
mod signs;

use serde_json::Value;

use super::common;
use crate::field;
use crate::scene::{Draft, Scene};
use crate::text::{Text, decisive, is_token};
use crate::verdict::{Severity, Status};

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    common::deletion(scene)
        .or_else(|| unobserved(scene))
        .or_else(|| failing(scene))
        .or_else(|| jobs::job_shaped(scene))
        .or_else(|| bad_phase(scene))
        .or_else(|| signs::unhealthy(scene))
        .or_else(|| jobs::cron_shaped(scene))
        .or_else(|| paused(scene))
        .or_else(|| replicas::counted(scene))
        .or_else(|| conditions::told(scene))
        .or_else(|| phase(scene))
        .or_else(|| signs::told(scene))
        .or_else(|| strange_phase(scene))
        .unwrap_or_else(|| silent(scene))
}

/// X2: the operator has not seen the newest spec.
fn unobserved(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    let workload = field::annotation(subject, "rollout.argoproj.io/workload-generation");
    let seen_workload = number(subject, "status.workloadObservedGeneration");
    let is_workload_behind = field::at(subject, "spec.workloadRef").is_some()
        && common::has_status(subject)
        && workload
            .parse()
            .ok()
            .is_some_and(|wanted: i64| seen_workload != Some(wanted));
    let generation = field::int(subject, "metadata.generation")?;
    let observed = number(subject, "status.observedGeneration");
    let is_behind = observed.is_some_and(|observed| observed < generation);
    (is_behind || is_workload_behind).then(not_observed)
}

/// A number, also when written as text; other text is no number.
fn number(subject: &Value, path: &str) -> Option<i64> {
    field::int(subject, path).or_else(|| field::text(subject, path).parse().ok())
}

fn not_observed() -> Draft {
    Draft::waiting(
        "NotObserved",
        "The controller has not processed the latest spec yet",
        "控制器尚未处理最新配置",
    )
}

/// X3: a condition that is bad by its name.
fn failing(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    let mut names = vec!["Stalled", "InvalidSpec", "Degraded", "ReplicaFailure"];
    if !jobs::is_job_shaped(subject) {
        names.push("Failed");
    }
    for name in names {
        if field::is_true(subject, name) {
            return condition_draft(scene, name);
        }
    }
    let progressing = field::condition(subject, "Progressing")?;
    let has_stopped = field::text(progressing, "status") == "False"
        && matches!(
            field::text(progressing, "reason"),
            "ProgressDeadlineExceeded" | "RolloutAborted" | "ReplicaSetCreateError"
        );
    if has_stopped {
        condition_draft(scene, "Progressing")
    } else {
        None
    }
}

/// `NotReady` by what a condition says.
fn condition_draft(scene: &Scene<'_, '_>, name: &str) -> Option<Draft> {
    let condition = field::condition(scene.subject, name)?;
    let raw = field::text(condition, "message");
    let reason = passed_through(field::text(condition, "reason"), name);
    let status = field::text(condition, "status");
    let message = Text::new(
        format!("The resource reports {name}={status} ({reason})"),
        format!("资源报告 {name}={status}({reason})"),
    )
    .quoting(&decisive(raw));
    Some(
        Draft::new(Status::NotReady, Severity::Error, &reason, message)
            .own_cause(scene.subject, &format!("status.conditions[{name}]"), raw)
            .since(field::time(condition, "lastTransitionTime")),
    )
}

/// A reason of the cluster if it is a token, else ours (rule G7).
fn passed_through(reason: &str, otherwise: &str) -> String {
    if is_token(reason) {
        reason.to_owned()
    } else {
        otherwise.to_owned()
    }
}

/// `status.phase` as a token, and in lower case; `None` when there is none.
fn phase_of(subject: &Value) -> Option<(String, String)> {
    Some(word(field::some_text(subject, "status.phase")?))
}

/// A word of a status as a token, and in lower case.
fn word(phase: &str) -> (String, String) {
    let mut letters = phase.chars();
    let capitalised: String = letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect();
    (
        passed_through(&capitalised, "UnknownPhase"),
        phase.to_lowercase(),
    )
}

fn phase_draft(scene: &Scene<'_, '_>, status: Status, severity: Severity, reason: &str) -> Draft {
    let field = if field::some_text(scene.subject, "status.phase").is_some() {
        "status.phase"
    } else {
        "status.state"
    };
    let phase = decisive(field::text(scene.subject, field));
    let raw = field::text(scene.subject, "status.message");
    let message = Text::new(
        format!("The resource reports phase {phase}"),
        format!("资源报告阶段 {phase}"),
    )
    .quoting(&decisive(raw));
    let draft = Draft::new(status, severity, reason, message);
    if severity >= Severity::Warning {
        return draft.own_cause(scene.subject, field, raw);
    }
    draft
}

/// X5: a phase that is bad by its name.
fn bad_phase(scene: &Scene<'_, '_>) -> Option<Draft> {
    let (reason, phase) = phase_of(scene.subject)?;
    is_bad_word(&phase).then(|| phase_draft(scene, Status::NotReady, Severity::Error, &reason))
}

fn is_bad_word(phase: &str) -> bool {
    matches!(
        phase,
        "failed"
            | "error"
            | "errored"
            | "degraded"
            | "invalid"
            | "unhealthy"
            | "unavailable"
            | "unready"
            | "notready"
            | "not ready"
            | "failedvalidation"
    )
}

/// X6: held on purpose; missing replicas are no part of the purpose.
fn paused(scene: &Scene<'_, '_>) -> Option<Draft> {
    let subject = scene.subject;
    let flags = [
        "spec.paused",
        "spec.suspend",
        "spec.updateStrategy.paused",
        "spec.updateStrategy.rollingUpdate.paused",
    ];
    let by_phase = phase_of(subject)
        .is_some_and(|(_, phase)| matches!(phase.as_str(), "paused" | "suspended"));
    let is_paused = flags.iter().any(|flag| field::is_set(subject, flag))
        || !field::list(subject, "status.pauseConditions").is_empty()
        || field::is_true(subject, "Paused")
        || by_phase;
    if !is_paused || replicas::is_short(scene) {
        return None;
    }
    let draft = Draft::waiting("Paused", "Paused", "已暂停");
    Some(draft.counts(replicas::counts(scene)))
}

/// X9: a phase whose meaning is common knowledge.
fn phase(scene: &Scene<'_, '_>) -> Option<Draft> {
    let (reason, phase) = phase_of(scene.subject)?;
    let (status, severity) = meaning(&phase)?;
    Some(phase_draft(scene, status, severity, &reason))
}

/// What a phase means; `None` for one that nobody knows.
fn meaning(phase: &str) -> Option<(Status, Severity)> {
    match phase {
        "running" | "active" | "ready" | "bound" | "healthy" | "deployed" | "available"
        | "succeeded" | "completed" | "complete" | "enabled" | "synced" => {
            Some((Status::Running, Severity::Ok))
        }
        "unknown" | "lost" => Some((Status::Exception, Severity::Error)),
        "new" | "pending" | "init" | "waiting" | "queued" | "scheduled" | "accepted"
        | "requested" => Some((Status::Waiting, Severity::Info)),
        other if other.ends_with("running") => Some((Status::Running, Severity::Ok)),
        other if other.ends_with("ing") => Some((Status::Waiting, Severity::Info)),
        _ => None,
    }
}

/// A phase that nobody knows is shown, and says nothing.
fn strange_phase(scene: &Scene<'_, '_>) -> Option<Draft> {
    phase_of(scene.subject)?;
    let draft = phase_draft(scene, Status::Running, Severity::Info, "NoStatusReported");
    Some(draft)
}

/// X10: it says nothing that we understand.
fn silent(scene: &Scene<'_, '_>) -> Draft {
    let subject = scene.subject;
    let known = matches!(
        field::text(subject, "kind"),
        "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "ReplicaSet"
            | "ReplicationController"
            | "Job"
            | "CronJob"
            | "Pod"
            | "CloneSet"
            | "Rollout"
            | "DeploymentConfig"
            | "BroadcastJob"
            | "AdvancedCronJob"
    );
    let shaped = [
        "replicas",
        "template",
        "strategy",
        "updateStrategy",
        "selector",
    ]
    .iter()
    .any(|name| field::at(subject, &format!("spec.{name}")).is_some());
    if !common::has_status(subject) && (known || shaped) {
        return not_observed();
    }
    Draft::new(
        Status::Running,
        Severity::Info,
        "NoStatusReported",
        Text::new(
            "The resource reports no status that is understood",
            "该资源未上报可识别的状态",
        ),
    )
}
