//! The catalogue of reasons: label, explanation and next step in both languages.
//!
//! The data is `reasons.tsv`, one row per reason. A reason that a cluster invented has no row; its
//! verdict then explains itself by its message alone.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::text::Text;

/// A language of the catalogue and of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

/// What a reason means, in one language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What to call it.
    pub label: &'static str,
    /// What it means; may be empty where the label says it all.
    pub explanation: &'static str,
    /// What to do; empty when there is nothing to do.
    pub next_step: &'static str,
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The token.
    pub reason: &'static str,
    /// The group of causes, for ordering and for the kind of help.
    pub group: &'static str,
    /// What to call it: English, Chinese.
    pub label: Pair,
    /// What it means.
    pub explanation: Pair,
    /// What to do; empty when there is nothing to do.
    pub next_step: Pair,
}

/// A text of the catalogue in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// English.
    pub en: &'static str,
    /// Simplified Chinese.
    pub zh: &'static str,
}

impl Pair {
    /// This language's side.
    #[must_use]
    pub fn of(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }
}

impl From<Pair> for Text {
    fn from(pair: Pair) -> Self {
        Self::new(pair.en, pair.zh)
    }
}

static CATALOGUE: LazyLock<BTreeMap<&'static str, Reason>> = LazyLock::new(|| {
    include_str!("reasons.tsv")
        .lines()
        .skip(1)
        .filter_map(row)
        .map(|reason| (reason.reason, reason))
        .collect()
});

fn row(line: &'static str) -> Option<Reason> {
    let mut cells = line
        .split('\t')
        .map(|cell| if cell == "\u{2013}" { "" } else { cell });
    let (reason, group) = (cells.next()?, cells.next()?);
    let mut pair = || {
        Some(Pair {
            en: cells.next()?,
            zh: cells.next()?,
        })
    };
    Some(Reason {
        reason,
        group,
        label: pair()?,
        explanation: pair()?,
        next_step: pair()?,
    })
}

/// What a reason means and what to do about it; `None` for a reason that some cluster component
/// invented.
///
/// ```
/// use sampan_status::{Lang, explain};
///
/// let pull = explain("ImagePullBackOff", Lang::Zh).unwrap();
/// assert_eq!(pull.label, "正在重试拉取");
/// // Reasons of old kubelets resolve to what they are called today.
/// let old = explain("NodeLost", Lang::En).unwrap();
/// assert_eq!(old.label, "Node unreachable");
/// assert_eq!(explain("MadeUpBySomebody", Lang::En), None);
/// ```
#[must_use]
pub fn explain(reason: &str, lang: Lang) -> Option<Explanation> {
    row_of(reason).map(|row| Explanation {
        label: row.label.of(lang),
        explanation: row.explanation.of(lang),
        next_step: row.next_step.of(lang),
    })
}

/// The catalogue row of a reason; `None` for a reason that some cluster component invented.
pub(crate) fn row_of(reason: &str) -> Option<&'static Reason> {
    // Kubelets reject pods with one reason per resource; they share a row.
    let known = match reason {
        "NodeShutdown" | "Shutdown" => "Terminated",
        "UnexpectedAdmissionError"
        | "AppArmor"
        | "SysctlForbidden"
        | "PodOSNotSupported"
        | "PodOSSelectorNodeLabelDoesNotMatch"
        | "NodeName"
        | "NodePorts"
        | "TaintToleration" => "NodeAffinity",
        "NodeLost" => "NodeUnreachable",
        "VerifyNonRootError" => "CreateContainerConfigError",
        "RunInitContainerError" => "RunContainerError",
        "SetupNetworkError" | "TeardownNetworkError" => "FailedCreatePodSandBox",
        other if other.starts_with("OutOf") => "NodeAffinity",
        other => other,
    };
    CATALOGUE.get(known)
}

/// Every row, sorted by reason.
pub fn reasons() -> impl Iterator<Item = &'static Reason> {
    CATALOGUE.values()
}

/// The Chinese name of a reason with the token after it, or the token alone.
pub(crate) fn named_zh(reason: &str) -> String {
    match row_of(reason) {
        Some(row) if row.reason == reason => format!("{}({reason})", row.label.zh),
        _ => reason.to_owned(),
    }
}

/// The group of a reason; empty when it has no row.
pub(crate) fn group(reason: &str) -> &'static str {
    row_of(reason).map_or("", |row| row.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole() {
        let lines = include_str!("reasons.tsv").lines().count() - 1;
        assert_eq!(reasons().count(), lines);
        for reason in reasons() {
            assert!(
                !reason.label.en.is_empty() && !reason.label.zh.is_empty(),
                "{reason:?}"
            );
            assert_eq!(
                reason.next_step.en.is_empty(),
                reason.next_step.zh.is_empty(),
                "{reason:?}"
            );
        }
    }

    #[test]
    fn pods_that_a_node_does_not_take_share_a_row() {
        for reason in [
            "OutOfcpu",
            "OutOfexample.com/gpu",
            "NodePorts",
            "TaintToleration",
        ] {
            assert_eq!(row_of(reason).unwrap().reason, "NodeAffinity");
        }
    }

    #[test]
    fn the_eighteen_founding_reasons_resolve() {
        for reason in [
            "CrashLoopBackOff",
            "InvalidImageName",
            "ImageInspectError",
            "ErrImageNeverPull",
            "ImagePullBackOff",
            "RegistryUnavailable",
            "ErrImagePull",
            "CreateContainerConfigError",
            "CreateContainerError",
            "m.internalLifecycle.PreStartContainer",
            "RunContainerError",
            "PostStartHookError",
            "ContainersNotInitialized",
            "ContainersNotReady",
            "ContainerCreating",
            "PodInitializing",
            "DockerDaemonNotReady",
            "NetworkPluginNotReady",
        ] {
            assert!(row_of(reason).is_some(), "{reason}");
        }
    }
}
