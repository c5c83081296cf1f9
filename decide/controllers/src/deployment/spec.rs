//! The fields of a deployment that decisions need, with upstream's reading of them.

use meta::{Object, ObjectExt};

use crate::scaled::{Round, scaled_value};

/// A deadline or limit of this size means "none". Source: `math.MaxInt32` in `deployment_util.go`.
const UNLIMITED: i64 = i32::MAX as i64;

/// How old pods give way to new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// All old ones end first.
    Recreate,
    /// Step by step.
    RollingUpdate {
        /// Pods above the wanted number.
        max_surge: i64,
        /// Pods that may be missing, before it is bounded by the wanted number.
        max_unavailable: i64,
    },
}

impl Strategy {
    pub(super) fn of(deployment: &Object) -> Self {
        if deployment.str_at(&["spec", "strategy", "type"]) == Some("Recreate") {
            return Self::Recreate;
        }
        let replicas = replicas(deployment);
        let rolling = |field, round| {
            let value = deployment.at(&["spec", "strategy", "rollingUpdate", field]);
            scaled_value(value, replicas, round).unwrap_or_default()
        };
        let max_surge = rolling("maxSurge", Round::Up);
        let mut max_unavailable = rolling("maxUnavailable", Round::Down);
        if max_surge == 0 && max_unavailable == 0 {
            // Rounding can make both zero; a rollout could then never move.
            max_unavailable = 1;
        }
        Self::RollingUpdate {
            max_surge,
            max_unavailable,
        }
    }
}

/// What a deployment asks for.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) replicas: i64,
    pub(super) strategy: Strategy,
    pub(super) is_paused: bool,
    pub(super) min_ready_seconds: i64,
    /// `None`: progress is not judged.
    pub(super) progress_deadline_seconds: Option<i64>,
    /// `None`: every old replica set is kept.
    pub(super) revision_history_limit: Option<i64>,
}

impl Spec {
    pub(super) fn of(deployment: &Object) -> Self {
        let limited = |field| {
            deployment
                .int_at(&["spec", field])
                .filter(|limit| *limit != UNLIMITED)
        };
        Self {
            replicas: replicas(deployment),
            strategy: Strategy::of(deployment),
            is_paused: deployment.bool_at(&["spec", "paused"]).unwrap_or_default(),
            min_ready_seconds: deployment
                .int_at(&["spec", "minReadySeconds"])
                .unwrap_or_default(),
            progress_deadline_seconds: limited("progressDeadlineSeconds"),
            revision_history_limit: limited("revisionHistoryLimit"),
        }
    }

    /// Pods that may exist above the wanted number.
    pub(super) fn max_surge(&self) -> i64 {
        match self.strategy {
            Strategy::RollingUpdate { max_surge, .. } => max_surge,
            Strategy::Recreate => 0,
        }
    }

    /// Pods that may be missing below the wanted number.
    pub(super) fn max_unavailable(&self) -> i64 {
        match self.strategy {
            Strategy::RollingUpdate {
                max_unavailable, ..
            } => max_unavailable.min(self.replicas),
            Strategy::Recreate => 0,
        }
    }
}

fn replicas(deployment: &Object) -> i64 {
    deployment.int_at(&["spec", "replicas"]).unwrap_or(1)
}
