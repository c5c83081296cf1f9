//! After how many seconds who is refused may come again: twice as many when many are refused, one less when few are.
//!
//! Source: apiserver `util/flowcontrol/dropped_requests_tracker.go`.

use std::collections::VecDeque;
use std::time::Duration;

/// Nobody is sent away for longer. Source: `maxRetryAfter`.
const SECONDS_MAX: u16 = 32;
/// What is told when nobody was refused before. Source: `newDroppedRequestsStats`.
pub(super) const SECONDS_MIN: u16 = 1;
/// So many refused for each second that they are sent away are many. Source: `updateRetryAfterIfNeededLocked`.
const MANY: u64 = 3;

/// Who was refused lately, and what they were told.
pub(super) struct DroppedRequests {
    /// What is told now.
    seconds: u16,
    /// When that last became more; `None` when it never did.
    raised: Option<u64>,
    /// How many were refused in which second, the oldest first, as far as it matters.
    refused: VecDeque<(u64, u64)>,
}

impl Default for DroppedRequests {
    fn default() -> Self {
        Self {
            seconds: SECONDS_MIN,
            raised: None,
            refused: VecDeque::new(),
        }
    }
}

impl DroppedRequests {
    /// One more is refused. Answers with the seconds after which it may come again.
    pub(super) fn record(&mut self, now: Duration) -> u16 {
        let second = now.as_secs();
        match self.refused.back_mut() {
            Some((at, count)) if *at >= second => *count += 1,
            _ => {
                self.adjust(second);
                self.refused.push_back((second, 1));
            }
        }
        self.seconds
    }

    /// Judges by the seconds before this one, as many as who is refused stays away.
    fn adjust(&mut self, second: u64) {
        let since = |seconds: u16| second.saturating_sub(u64::from(seconds));
        self.refused.retain(|(at, _)| *at >= since(SECONDS_MAX));
        let lately = self
            .refused
            .iter()
            .filter(|(at, _)| *at >= since(self.seconds));
        let refused: u64 = lately.map(|(_, count)| count).sum();
        let seconds = u64::from(self.seconds);
        let may_rise = self.raised.is_none_or(|at| second >= at + seconds);
        if may_rise && refused >= MANY * seconds {
            self.seconds = (self.seconds * 2).min(SECONDS_MAX);
            self.raised = Some(second);
        } else if refused < seconds && self.seconds > SECONDS_MIN {
            self.seconds -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the last of so many is told that are refused in each of these seconds.
    fn told(dropped: &mut DroppedRequests, refused: &[(u64, usize)]) -> Vec<u16> {
        let of = |(second, count): &(u64, usize)| {
            let refuse = |_| dropped.record(Duration::from_secs(*second));
            (0..*count).map(refuse).last().unwrap_or_default()
        };
        refused.iter().map(of).collect()
    }

    #[test]
    fn it_doubles_under_a_flood_and_no_sooner_than_the_first_may_be_back() {
        let flood: Vec<(u64, usize)> = (100..180).map(|second| (second, 100)).collect();
        let told = told(&mut DroppedRequests::default(), &flood);
        assert_eq!(told[..8], [1, 2, 2, 4, 4, 4, 4, 8]);
        assert_eq!(told.last(), Some(&SECONDS_MAX));
    }

    #[test]
    fn it_stays_while_some_are_refused_and_falls_second_by_second_when_few_are() {
        let mut dropped = DroppedRequests::default();
        assert_eq!(told(&mut dropped, &[(1, 3), (2, 6), (4, 1)]), [1, 2, 4]);
        // One in four seconds is fewer than four, five in two seconds are not many.
        assert_eq!(told(&mut dropped, &[(8, 1), (9, 4), (10, 1)]), [3, 2, 2]);
        assert_eq!(told(&mut dropped, &[(100, 1), (200, 1)]), [1, 1]);
    }

    #[test]
    fn two_in_a_second_are_not_many_and_time_may_go_back() {
        let mut dropped = DroppedRequests::default();
        assert_eq!(told(&mut dropped, &[(5, 2), (6, 2), (7, 1)]), [1, 1, 1]);
        assert_eq!(told(&mut dropped, &[(3, 9), (8, 1)]), [1, 2]);
    }
}
