//! Probes: when the next one is due and what a run of outcomes means.
//!
//! The outcomes themselves are found by the agent; this module only counts them.
//!
//! Source: `pkg/kubelet/prober/worker.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};

use crate::back_off::later;

/// Which question a probe answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Has it started?
    Startup,
    /// Is it alive?
    Liveness,
    /// Can it serve?
    Readiness,
}

impl Kind {
    /// All kinds, in the order they come into play.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    /// The word in events, as in `Liveness probe failed: ...`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// The probe of this kind that a container states.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// Outcomes counted so far, for one probe of one container instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Outcome of the latest probe.
    pub latest: Option<bool>,
    /// How many of the same came in a row.
    pub length: u32,
}

impl Run {
    /// Counts one more outcome.
    #[must_use]
    pub fn with(self, is_success: bool) -> Self {
        let length = if self.latest == Some(is_success) {
            self.length.saturating_add(1)
        } else {
            1
        };
        Self {
            latest: Some(is_success),
            length,
        }
    }

    /// The verdict this run settles; `None` when it is too short to change the one before.
    pub fn verdict(self, probe: &Probe) -> Option<bool> {
        let needed = if self.latest? {
            threshold(probe.success_threshold, 1)
        } else {
            threshold(probe.failure_threshold, 3)
        };
        (self.length >= needed).then_some(self.latest).flatten()
    }
}

/// Whether a verdict ends the probing of this instance: it is about to be killed, or has started for good.
pub fn ends(kind: Kind, verdict: bool) -> bool {
    match kind {
        Kind::Startup => true,
        Kind::Liveness => !verdict,
        Kind::Readiness => false,
    }
}

/// When the next probe is due.
pub fn due_at(probe: &Probe, started_at: Timestamp, last_at: Option<Timestamp>) -> Timestamp {
    let first = later(started_at, seconds(probe.initial_delay_seconds, 0));
    match last_at {
        Some(last) => later(last, seconds(probe.period_seconds, 10)).max(first),
        None => first,
    }
}

/// How long an answer is waited for, in seconds.
pub fn timeout_seconds(probe: &Probe) -> i64 {
    seconds(probe.timeout_seconds, 1).max(1)
}

fn threshold(stated: Option<i32>, default: u32) -> u32 {
    stated
        .and_then(|count| u32::try_from(count).ok())
        .filter(|&count| count > 0)
        .unwrap_or(default)
}

fn seconds(stated: Option<i32>, default: i64) -> i64 {
    stated.map_or(default, i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(probe: &Probe, outcomes: &[bool]) -> Vec<Option<bool>> {
        let mut run = Run::default();
        let count = |&outcome: &bool| {
            run = run.with(outcome);
            run.verdict(probe)
        };
        outcomes.iter().map(count).collect()
    }

    #[test]
    fn three_failures_in_a_row_settle_a_failure() {
        let probe = Probe::default();
        assert_eq!(
            verdicts(&probe, &[false, false, true, false, false, false]),
            [None, None, Some(true), None, None, Some(false)]
        );
    }

    #[test]
    fn thresholds_are_the_probes_own() {
        let probe = Probe {
            success_threshold: Some(2),
            failure_threshold: Some(1),
            ..Probe::default()
        };
        assert_eq!(
            verdicts(&probe, &[true, true, false]),
            [None, Some(true), Some(false)]
        );
    }

    #[test]
    fn the_first_probe_waits_for_the_delay_and_the_next_for_the_period() {
        let probe = Probe {
            initial_delay_seconds: Some(5),
            period_seconds: Some(2),
            ..Probe::default()
        };
        let start = Timestamp::UNIX_EPOCH;
        assert_eq!(due_at(&probe, start, None), later(start, 5));
        assert_eq!(
            due_at(&probe, start, Some(later(start, 5))),
            later(start, 7)
        );
        assert_eq!(due_at(&probe, start, Some(start)), later(start, 5));
    }
}
