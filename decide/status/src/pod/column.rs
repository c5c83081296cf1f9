//! The READY, STATUS and RESTARTS columns of `kubectl get pods`, exactly (specification, 5.1).
//!
//! Source: Kubernetes 1.36, `pkg/printers/internalversion/printers.go`, `printPod`.

use jiff::Timestamp;
use serde_json::Value;

use super::health::is_word;
use crate::field;

/// The STATUS column of a Pod.
///
/// ```
/// # use serde_json::json;
/// let pod = json!({"status": {"phase": "Pending", "containerStatuses": [
///     {"state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
/// assert_eq!(sampan_status::pod_column(&pod), "ImagePullBackOff");
/// ```
pub fn pod_column(pod: &Value) -> String {
    Columns::of(pod).status
}

/// The READY column: ready containers of all that count.
pub fn ready_column(pod: &Value) -> String {
    let columns = Columns::of(pod);
    format!("{}/{}", columns.ready, columns.total)
}

/// The RESTARTS column, and when the newest restart was (`None`: never, or not known). The caller
/// prints how long ago that is.
pub fn restarts_column(pod: &Value) -> (i64, Option<Timestamp>) {
    let columns = Columns::of(pod);
    let last = columns.last_restart.filter(|_| columns.restarts != 0);
    (columns.restarts, last)
}

struct Columns {
    status: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Columns {
    fn of(pod: &Value) -> Self {
        let mut columns = Self {
            status: first_guess(pod),
            ready: 0,
            total: field::list(pod, "spec.containers").len(),
            restarts: 0,
            last_restart: None,
        };
        let is_initializing = columns.read_init(pod);
        if !is_initializing || field::is_true(pod, "Initialized") {
            columns.read_containers(pod);
        }
        columns.read_deletion(pod);
        columns
    }

    /// Steps 3: init containers. Returns whether the pod is still initializing.
    fn read_init(&mut self, pod: &Value) -> bool {
        let specs = field::list(pod, "spec.initContainers");
        let is_sidecar = |name: &str| {
            specs
                .iter()
                .any(|spec| field::text(spec, "name") == name && restarts_always(spec))
        };
        self.total += specs.iter().filter(|spec| restarts_always(spec)).count();
        let (mut all, mut all_last) = (0, None);
        for (index, status) in field::list(pod, "status.initContainerStatuses")
            .iter()
            .enumerate()
        {
            let restarts = field::count(status, "restartCount");
            let last = field::time(status, "lastState.terminated.finishedAt");
            all += restarts;
            all_last = all_last.max(last);
            let sidecar = is_sidecar(field::text(status, "name"));
            if sidecar {
                self.restarts += restarts;
                self.last_restart = self.last_restart.max(last);
            }
            let terminated = field::at(status, "state.terminated");
            if terminated.is_some_and(|state| field::int(state, "exitCode").unwrap_or(0) == 0) {
                continue;
            }
            if sidecar && field::is_set(status, "started") {
                self.ready += usize::from(field::is_set(status, "ready"));
                continue;
            }
            let waiting = field::text(status, "state.waiting.reason");
            self.status = match terminated {
                Some(state) => format!("Init:{}", ending(state)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => {
                    format!("Init:{waiting}")
                }
                None => format!("Init:{index}/{}", specs.len()),
            };
            if !field::is_true(pod, "Initialized") {
                (self.restarts, self.last_restart) = (all, all_last);
            }
            return true;
        }
        false
    }

    /// Step 4: app containers, from the last to the first, so that the first one wins.
    fn read_containers(&mut self, pod: &Value) {
        let mut has_running = false;
        let mut failure = None;
        for status in field::list(pod, "status.containerStatuses").iter().rev() {
            self.restarts += field::count(status, "restartCount");
            self.last_restart = self
                .last_restart
                .max(field::time(status, "lastState.terminated.finishedAt"));
            let waiting = field::text(status, "state.waiting.reason");
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.status);
            } else if let Some(state) = field::at(status, "state.terminated") {
                self.status = ending(state);
                if field::int(state, "exitCode").unwrap_or(0) != 0 {
                    failure = Some(self.status.clone());
                }
            } else if field::is_set(status, "ready") && field::at(status, "state.running").is_some()
            {
                has_running = true;
                self.ready += 1;
            }
        }
        if self.status == "Completed" {
            if has_running && field::is_true(pod, "Ready") {
                "Running".clone_into(&mut self.status);
            } else if let Some(failure) = failure {
                self.status = failure;
            } else if has_running {
                "NotReady".clone_into(&mut self.status);
            }
        }
    }

    /// Step 5: deletion hides everything but a terminal phase.
    fn read_deletion(&mut self, pod: &Value) {
        if field::some_text(pod, "metadata.deletionTimestamp").is_none() {
            return;
        }
        if field::text(pod, "status.reason") == "NodeLost" {
            "Unknown".clone_into(&mut self.status);
        } else if !matches!(field::text(pod, "status.phase"), "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut self.status);
        }
    }
}

/// Steps 1 and 2: reason or phase, or a scheduling gate.
fn first_guess(pod: &Value) -> String {
    let is_gated = field::list(pod, "status.conditions")
        .iter()
        .any(|condition| {
            field::text(condition, "type") == "PodScheduled"
                && field::text(condition, "reason") == "SchedulingGated"
        });
    if is_gated {
        return "SchedulingGated".to_owned();
    }
    field::some_text(pod, "status.reason")
        .unwrap_or_else(|| field::text(pod, "status.phase"))
        .to_owned()
}

/// How a container ended: its reason, else its signal, else its exit code.
fn ending(terminated: &Value) -> String {
    let reason = field::text(terminated, "reason");
    let signal = field::int(terminated, "signal").unwrap_or(0);
    if !reason.is_empty() {
        reason.to_owned()
    } else if signal != 0 {
        format!("Signal:{signal}")
    } else {
        format!(
            "ExitCode:{}",
            field::int(terminated, "exitCode").unwrap_or(0)
        )
    }
}

/// Whether an init container is a native sidecar.
pub(crate) fn restarts_always(init_container: &Value) -> bool {
    field::text(init_container, "restartPolicy") == "Always"
}

/// A terminated container's reason as a token: `Error` when there is none, `ContainerStatusUnknown`
/// when the runtime lost it.
pub(crate) fn ending_reason(terminated: &Value) -> String {
    match field::text(terminated, "reason") {
        "Unknown" => "ContainerStatusUnknown".to_owned(),
        reason if is_word(reason) => reason.to_owned(),
        _ => "Error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn init_containers_stop_at_the_first_that_is_not_done() {
        let pod = json!({"spec": {"initContainers": [{"name": "a"}, {"name": "s", "restartPolicy": "Always"},
                {"name": "b"}], "containers": [{"name": "c"}]},
            "status": {"phase": "Pending", "initContainerStatuses": [
                {"name": "a", "state": {"terminated": {"exitCode": 0}}, "restartCount": 1},
                {"name": "s", "started": true, "ready": true, "state": {"running": {}}, "restartCount": 2},
                {"name": "b", "state": {"terminated": {"exitCode": 0, "signal": 9}}},
                {"name": "x", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}]}});
        assert_eq!(pod_column(&pod), "Init:CrashLoopBackOff");
        assert_eq!(ready_column(&pod), "1/2");
        assert_eq!(restarts_column(&pod), (7, None));
    }

    #[test]
    fn the_first_container_wins_and_completed_yields() {
        let ended = |code: i64, reason: &str| json!({"state": {"terminated": {"exitCode": code, "reason": reason}}});
        for (states, expected) in [
            (vec![ended(0, "Completed"), ended(2, "Error")], "Error"),
            (vec![ended(2, ""), ended(0, "Completed")], "ExitCode:2"),
            (
                vec![
                    ended(0, "Completed"),
                    json!({"ready": true, "state": {"running": {}}}),
                ],
                "NotReady",
            ),
            (
                vec![ended(0, "Completed"), ended(0, "Completed")],
                "Completed",
            ),
        ] {
            let pod = json!({"status": {"phase": "Running", "containerStatuses": states}});
            assert_eq!(pod_column(&pod), expected);
        }
    }

    #[test]
    fn deletion_spares_terminal_phases() {
        let pod = |phase: &str, reason: &str| {
            pod_column(
                &json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
                "status": {"phase": phase, "reason": reason}}),
            )
        };
        assert_eq!(pod("Running", ""), "Terminating");
        assert_eq!(pod("Failed", "Evicted"), "Evicted");
        assert_eq!(pod("Running", "NodeLost"), "Unknown");
    }
}
