//! How long to wait before something that failed is tried again.

use jiff::{SignedDuration, Timestamp};

use crate::seen::{Container, Failure};

/// Shortest wait before a crashed container or a failed pull is tried again, in seconds.
///
/// Source: `pkg/kubelet/kubelet.go`, `initialImageBackOff...`, Kubernetes docs "Pod lifecycle".
pub const SECONDS_MIN: i64 = 10;
/// Longest such wait, in seconds.
///
/// Source: Kubernetes docs, "Pod lifecycle", container restart policy.
pub const SECONDS_MAX: i64 = 300;
/// A container that ran at least this long starts over with the shortest wait, in seconds.
///
/// Source: client-go `flowcontrol.Backoff`: twice the longest wait.
pub const RESET_AFTER_SECONDS: i64 = 2 * SECONDS_MAX;
/// Wait after a failed attempt to make a sandbox or container, in seconds.
///
/// Source: `pkg/kubelet/kubelet.go`, `backOffPeriod`.
pub const RETRY_SECONDS: i64 = 10;
/// How long `ErrImagePull` shows before `ImagePullBackOff` takes its place, in seconds.
pub const PULL_ERROR_SHOWN_SECONDS: i64 = 2;

/// The wait after the given number of failures in a row: 0, 10, 20, 40, ... 300 seconds.
pub fn seconds_after(failures: u32) -> i64 {
    let Some(doublings) = failures.checked_sub(1) else {
        return 0;
    };
    SECONDS_MIN
        .saturating_mul(1_i64.checked_shl(doublings.min(30)).unwrap_or(i64::MAX))
        .min(SECONDS_MAX)
}

/// When an ended container may be started again, and the wait as a number of seconds; `None` for at once.
pub fn restart_at(ended: &Container) -> Option<(Timestamp, i64)> {
    let crashes = crashes_of(ended);
    let finished = ended.finished_at?;
    if ran_long(ended) || crashes == 0 {
        return None;
    }
    let seconds = seconds_after(crashes);
    Some((later(finished, seconds), seconds))
}

/// Crashes in a row to be written on the instance that follows an ended one.
pub fn crashes_next(ended: &Container) -> u32 {
    if ran_long(ended) {
        return 1;
    }
    crashes_of(ended).saturating_add(1)
}

/// When a failed pull may be tried again.
pub fn pull_at(failure: &Failure) -> Timestamp {
    later(failure.at, seconds_after(failure.count))
}

/// When something else that failed may be tried again.
pub fn retry_at(failure: &Failure) -> Timestamp {
    later(failure.at, RETRY_SECONDS)
}

/// A moment some seconds later; the moment itself where the calendar ends.
pub fn later(moment: Timestamp, seconds: i64) -> Timestamp {
    moment
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(moment)
}

fn crashes_of(ended: &Container) -> u32 {
    ended.crashes.unwrap_or(ended.attempt)
}

fn ran_long(ended: &Container) -> bool {
    match (ended.started_at, ended.finished_at) {
        (Some(started), Some(finished)) => {
            finished.duration_since(started).as_secs() > RESET_AFTER_SECONDS
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(crashes: u32, ran_seconds: i64) -> Container {
        let started = Timestamp::UNIX_EPOCH;
        Container {
            crashes: Some(crashes),
            started_at: Some(started),
            finished_at: Some(later(started, ran_seconds)),
            ..Container::default()
        }
    }

    #[test]
    fn waits_double_from_ten_seconds_to_five_minutes() {
        let waits: Vec<i64> = (0..8).map(seconds_after).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(seconds_after(u32::MAX), 300);
    }

    #[test]
    fn the_first_crash_is_restarted_at_once() {
        assert_eq!(restart_at(&ended(0, 1)), None);
        assert_eq!(crashes_next(&ended(0, 1)), 1);
    }

    #[test]
    fn later_crashes_wait_from_their_end() {
        let (at, seconds) = restart_at(&ended(3, 5)).unwrap();
        assert_eq!(seconds, 40);
        assert_eq!(at, later(Timestamp::UNIX_EPOCH, 45));
    }

    #[test]
    fn ten_minutes_of_running_start_over() {
        assert_eq!(restart_at(&ended(6, 601)), None);
        assert_eq!(crashes_next(&ended(6, 601)), 1);
        assert!(restart_at(&ended(6, 600)).is_some());
    }

    #[test]
    fn restarts_stand_in_where_crashes_are_not_told() {
        let mut one = ended(0, 1);
        one.crashes = None;
        one.attempt = 2;
        assert_eq!(restart_at(&one).unwrap().1, 20);
    }
}
