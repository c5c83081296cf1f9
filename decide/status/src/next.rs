//! Next steps: the catalogue's advice for the reasons of a draft, with a command to begin with.

use serde_json::Value;

use crate::field;
use crate::reasons::{self, row_of};
use crate::scene::Draft;
use crate::verdict::{Cause, NextStep, Severity};

/// What to do about a reason that was passed through from the object and has no row of its own.
const ASK_THE_OBJECT: (&str, &str) = (
    "Read the conditions and events of the object, then the log of the controller that maintains it.",
    "查看该对象的状况(conditions)与事件,再查看负责它的控制器的日志。",
);

/// The steps for a draft, most specific first: sub-reason, reason, then the first cause's reason.
pub(crate) fn steps(draft: &Draft, subject: &Value) -> Vec<NextStep> {
    let mut codes: Vec<&str> = Vec::new();
    codes.extend(draft.sub_reason.as_deref());
    // A reason of its own row first; an override only stands in for a row that says less.
    codes.extend(draft.step);
    codes.push(&draft.reason);
    codes.extend(draft.causes.first().map(|cause| cause.reason.as_str()));
    let mut steps: Vec<NextStep> = Vec::new();
    for row in codes.into_iter().filter_map(row_of) {
        let is_new = steps.iter().all(|step| step.en != row.next_step.en);
        if row.next_step.en.is_empty() || !is_new {
            continue;
        }
        let command = if steps.is_empty() {
            command(draft, subject)
        } else {
            None
        };
        steps.push(NextStep {
            code: row.reason.to_owned(),
            en: row.next_step.en.to_owned(),
            zh: row.next_step.zh.to_owned(),
            command,
        });
    }
    if steps.is_empty() && draft.severity >= Severity::Warning {
        steps.push(NextStep {
            code: draft.reason.clone(),
            en: ASK_THE_OBJECT.0.to_owned(),
            zh: ASK_THE_OBJECT.1.to_owned(),
            command: command(draft, subject),
        });
    }
    steps
}

/// The command that shows, or does, most.
fn command(draft: &Draft, subject: &Value) -> Option<String> {
    if draft.command.is_some() {
        return draft.command.clone();
    }
    if let Some(fix) = by_reason(&draft.reason, subject) {
        return Some(fix);
    }
    let cause = draft.causes.first()?;
    if draft.severity <= Severity::Info {
        return None;
    }
    Some(by_cause(draft, cause, subject))
}

/// Commands that act on the subject itself.
fn by_reason(reason: &str, subject: &Value) -> Option<String> {
    let target = target(subject);
    let command = match reason {
        "Paused" => format!("rollout resume {target}"),
        "ProgressDeadlineExceeded" => format!("rollout undo {target}"),
        "ScaledToZero" => format!("scale {target} --replicas=1"),
        "Suspended" => {
            format!("patch {target} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'")
        }
        "FinalizersPending" | "DeletionStuck" => format!("get {target} -o yaml"),
        _ => return None,
    };
    // Custom resources have no rollout subcommand; pausing is theirs to explain.
    let is_known = reason != "Paused" && reason != "ProgressDeadlineExceeded"
        || field::text(subject, "kind") == "Deployment";
    is_known.then(|| {
        format!(
            "kubectl{} {command}",
            namespace_flag(field::namespace(subject))
        )
    })
}

fn by_cause(draft: &Draft, cause: &Cause, subject: &Value) -> String {
    let flag = namespace_flag(&cause.namespace);
    if cause.kind != "Pod" {
        return format!("kubectl{flag} describe {}", target(subject));
    }
    let pod = quoted(&cause.name);
    if reasons::group(&cause.reason) == "node"
        && let Some(node) = &cause.node
    {
        return format!("kubectl describe node {}", quoted(node));
    }
    match &draft.log {
        Some(log) => {
            let previous = if log.previous { " --previous" } else { "" };
            format!(
                "kubectl{flag} logs {} -c {}{previous}",
                quoted(&log.pod),
                quoted(&log.container)
            )
        }
        None => format!("kubectl{flag} describe pod {pod}"),
    }
}

/// `deployment.apps/web`, as kubectl names it.
fn target(subject: &Value) -> String {
    let kind = field::text(subject, "kind").to_lowercase();
    let group = field::group(subject);
    let dot = if group.is_empty() { "" } else { "." };
    quoted(&format!("{kind}{dot}{group}/{}", field::name(subject)))
}

fn namespace_flag(namespace: &str) -> String {
    if namespace.is_empty() {
        String::new()
    } else {
        format!(" -n {}", quoted(namespace))
    }
}

/// A word that is safe to paste into a shell, whatever an object is called.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty()
        && !word.starts_with('-')
        && word
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || "-._/:".contains(each));
    if is_plain {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_shell() {
        assert_eq!(quoted("web-2"), "web-2");
        assert_eq!(quoted("a; rm -rf /"), "'a; rm -rf /'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("--force"), "'--force'");
        assert_eq!(quoted(""), "''");
    }
}
