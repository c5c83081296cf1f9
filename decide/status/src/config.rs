//! The constants of the rules, all in seconds unless their name says otherwise.

/// How patient the engine is.
///
/// There is no `Default`: whoever evaluates says where the numbers come from, normally
/// [`Config::spec`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Unschedulable is not reported before a pod is this old.
    pub scheduling_grace_seconds: i64,
    /// A pod without any `PodScheduled` condition is nobody's after this time.
    pub unpicked_grace_seconds: i64,
    /// Base of the time that a container may need to become ready; its probes add to it.
    pub ready_base_seconds: i64,
    /// Longest Waiting without any movement.
    pub start_grace_seconds: i64,
    /// A controller that has not observed a spec after this time does not respond.
    pub observed_grace_seconds: i64,
    /// A deletion older than this is a warning.
    pub deleting_stuck_seconds: i64,
    /// A pod may overstay its termination grace period by this much.
    pub terminating_slack_seconds: i64,
    /// A restart counts as recent for this long.
    pub restart_window_seconds: i64,
    /// This many restarts are frequent; a number of restarts, not seconds.
    pub flap_restarts: i64,
    /// A ready container that has run for less than this after a crash may crash again at once.
    pub crash_latch_seconds: i64,
    /// A CronJob without status is "being created" for this long.
    pub cron_create_grace_seconds: i64,
    /// A custom resource may report Ready False or Unknown for this long.
    pub condition_grace_seconds: i64,
}

impl Config {
    /// The values of the specification.
    #[must_use]
    pub const fn spec() -> Self {
        Self {
            scheduling_grace_seconds: 15,
            unpicked_grace_seconds: 30,
            ready_base_seconds: 60,
            start_grace_seconds: 600,
            observed_grace_seconds: 60,
            deleting_stuck_seconds: 300,
            terminating_slack_seconds: 60,
            restart_window_seconds: 600,
            flap_restarts: 3,
            crash_latch_seconds: 60,
            cron_create_grace_seconds: 10,
            condition_grace_seconds: 300,
        }
    }
}
