//! Rolling updates of a daemon set.

use std::sync::Arc;

use meta::{Object, ObjectExt};

use super::{Board, Place};
use crate::controller::Decision;
use crate::scaled::{Round, scaled_value};

impl Board<'_> {
    fn limit(&self, field: &str, default: i64) -> i64 {
        let value = self
            .seen
            .set
            .at(&["spec", "updateStrategy", "rollingUpdate", field]);
        let desired = self
            .nodes
            .iter()
            .filter(|place| place.fit.should_run)
            .count();
        let desired = i64::try_from(desired).unwrap_or(i64::MAX);
        scaled_value(value, desired, Round::Up).unwrap_or(default)
    }
    pub(super) fn max_surge(&self) -> i64 {
        self.limit("maxSurge", 0)
    }
    /// The pods of a node that nobody asked to go: old one, new one.
    fn pair<'p>(&self, place: &Place<'p>) -> (Option<&'p Arc<Object>>, Option<&'p Arc<Object>>) {
        let alive = || {
            place
                .pods
                .iter()
                .filter(|pod| pod.deletion_timestamp().is_none())
        };
        let old = alive().find(|pod| !self.is_new(pod)).copied();
        (old, alive().find(|pod| self.is_new(pod)).copied())
    }
}

/// Replaces old pods as far as availability allows.
pub(super) fn roll(board: &Board<'_>, decision: &mut Decision) {
    if board.seen.set.str_at(&["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return;
    }
    let surge = board.max_surge();
    if surge > 0 {
        surging(board, surge, decision);
    } else {
        replacing(board, decision);
    }
}

/// Old pods go first, at most so many at a time.
fn replacing(board: &Board<'_>, decision: &mut Decision) {
    let limit = board.limit("maxUnavailable", 1).max(1);
    let (mut unavailable, mut candidates) = (0, Vec::new());
    for place in board.nodes.iter().filter(|place| place.fit.should_run) {
        match board.pair(place) {
            (None, None) => unavailable += 1,
            (None, Some(new)) => unavailable += i64::from(!board.is_available(new)),
            (Some(old), _) if board.is_available(old) => candidates.push(old),
            (Some(old), _) => {
                // It helps nobody: replacing it costs nothing.
                unavailable += 1;
                decision.actions.push(board.remove(old));
            }
        }
    }
    let room = usize::try_from(limit - unavailable).unwrap_or_default();
    decision.actions.extend(
        candidates
            .into_iter()
            .take(room)
            .map(|pod| board.remove(pod)),
    );
}

/// New pods come first, at most so many at a time; old ones go when the new one is available.
fn surging(board: &Board<'_>, surge: i64, decision: &mut Decision) {
    let (mut extra, mut candidates) = (0, Vec::new());
    for place in board.nodes.iter().filter(|place| place.fit.should_run) {
        match board.pair(place) {
            (Some(old), Some(new)) if board.is_available(new) => {
                decision.actions.push(board.remove(old));
            }
            (Some(_), Some(_)) => extra += 1,
            (Some(old), None) if board.is_available(old) => candidates.push(place.node),
            (Some(old), None) => decision.actions.push(board.remove(old)),
            (None, _) => {}
        }
    }
    let room = usize::try_from(surge - extra).unwrap_or_default();
    decision.actions.extend(
        candidates
            .into_iter()
            .take(room)
            .map(|node| board.create(node)),
    );
}
