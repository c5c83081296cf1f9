//! Groups troubled pods by what troubles them, worst first (specification, section 6).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::field;
use crate::pod::health::{Class, PodHealth};
use crate::reasons;
use crate::text::Text;
use crate::verdict::{Cause, Severity, Status};

/// Pods with the same reason in the same container.
#[derive(Debug, Clone)]
pub(crate) struct Group<'p, 'a> {
    /// The first pod by name.
    pub(crate) first: &'p PodHealth<'a>,
    /// All of them, by name.
    pub(crate) pods: Vec<&'p PodHealth<'a>>,
    /// Whether they are of the new revision.
    pub(crate) is_new: bool,
}

/// Groups pods; `is_new` tells the new revision, whose troubles come first.
///
/// The pods come sorted by name, so the first of each group does not depend on the input's order.
pub(crate) fn groups<'p, 'a>(
    pods: impl IntoIterator<Item = &'p PodHealth<'a>>,
    is_new: impl Fn(&Value) -> bool,
) -> Vec<Group<'p, 'a>>
where
    'a: 'p,
{
    let mut by_key: BTreeMap<_, Vec<&'p PodHealth<'a>>> = BTreeMap::new();
    for pod in pods {
        let key = (
            !is_new(pod.pod),
            pod.reason.as_str(),
            pod.container.as_ref(),
        );
        by_key.entry(key).or_default().push(pod);
    }
    let mut groups: Vec<_> = by_key
        .into_iter()
        .filter_map(|((is_old, _, _), pods)| {
            Some(Group {
                first: pods.first().copied()?,
                pods,
                is_new: !is_old,
            })
        })
        .collect();
    // The sort is stable: equal groups stay in the order of their reasons.
    groups.sort_by_key(|group| {
        (
            !group.is_new,
            rank(group.first),
            std::cmp::Reverse(group.pods.len()),
        )
    });
    groups
}

/// Lost pods first, then what stops containers earliest; warnings about serving pods last.
fn rank(pod: &PodHealth<'_>) -> u8 {
    if pod.class == Class::Lost && pod.status == Status::Exception {
        return 0;
    }
    if matches!(pod.class, Class::Terminating | Class::Ready | Class::Lost) {
        return 9;
    }
    match reasons::group(&pod.reason) {
        "image" => 1,
        "config" => 2,
        "create" => 3,
        "crash" => 4,
        "sched" => 5,
        "volume" => 6,
        "probe" => 8,
        _ => 7,
    }
}

/// Whether a pod belongs into the list of causes at all.
pub(crate) fn is_trouble(pod: &PodHealth<'_>) -> bool {
    match pod.class {
        Class::Lost | Class::Blocked => true,
        Class::Terminating | Class::Ready => pod.severity >= Severity::Warning,
        Class::Succeeded | Class::Failed | Class::Gated | Class::Starting => false,
    }
}

impl Group<'_, '_> {
    /// The first pod's message, and how many more pods there are.
    pub(crate) fn message(&self) -> Text {
        let more = self.pods.len().saturating_sub(1);
        let message = self.first.message.clone();
        match more {
            0 => message,
            1 => message.with(" (and 1 more pod)", "(另有 1 个 Pod)"),
            _ => message.with(
                &format!(" (and {more} more pods)"),
                &format!("(另有 {more} 个 Pod)"),
            ),
        }
    }

    /// The group as it appears in the verdict.
    pub(crate) fn cause(&self) -> Cause {
        Cause {
            count: self.pods.len(),
            ..of_pod(self.first)
        }
    }
}

/// One pod as a cause.
pub(crate) fn of_pod(health: &PodHealth<'_>) -> Cause {
    let (container, init) = match &health.container {
        Some((name, init)) => (Some(name.clone()), *init),
        None => (None, false),
    };
    Cause {
        kind: "Pod".to_owned(),
        namespace: field::namespace(health.pod).to_owned(),
        name: field::name(health.pod).to_owned(),
        container,
        init,
        node: field::some_text(health.pod, "spec.nodeName").map(str::to_owned),
        field: health.field.clone(),
        raw: health.raw.clone(),
        since: health.since,
        reason: health.reason.clone(),
        message: health.message.clone(),
        count: 1,
    }
}

/// Trouble that the subject itself reports.
pub(crate) fn of_object(
    object: &Value,
    reason: &str,
    field: &str,
    raw: &str,
    message: &Text,
) -> Cause {
    Cause {
        kind: field::text(object, "kind").to_owned(),
        namespace: field::namespace(object).to_owned(),
        name: field::name(object).to_owned(),
        container: None,
        init: false,
        node: None,
        field: field.to_owned(),
        raw: raw.to_owned(),
        since: None,
        reason: reason.to_owned(),
        message: message.clone(),
        count: 1,
    }
}
