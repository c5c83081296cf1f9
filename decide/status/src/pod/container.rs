//! One container of a pod: its spec and its status side by side, and the words about it.

use jiff::Timestamp;
use serde_json::Value;

use super::column::{ending_reason, restarts_always};
use crate::field;
use crate::image;
use crate::text::{decisive, is_token, last_line};

/// Waiting reasons that mean "on its way" (rule G6); every other one is a failure.
const HARMLESS: [&str; 4] = [
    "",
    "ContainerCreating",
    "PodInitializing",
    "RestartingAllContainers",
];

/// What a container is doing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State<'a> {
    /// Not started; also when nothing is reported.
    Waiting {
        /// Raw reason, possibly not a token.
        reason: &'a str,
        /// Raw message.
        message: &'a str,
    },
    /// Started.
    Running {
        /// When.
        started_at: Option<Timestamp>,
    },
    /// Ended; the `terminated` object.
    Terminated(&'a Value),
}

/// A container with what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container<'a> {
    /// Name.
    pub(crate) name: &'a str,
    /// Whether it is an init container, native sidecars included.
    pub(crate) is_init: bool,
    spec: &'a Value,
    status: &'a Value,
    restart_policy: &'a str,
}

impl<'a> Container<'a> {
    /// The init containers of a pod, in the order of their statuses.
    pub(crate) fn inits(pod: &'a Value) -> Vec<Self> {
        pair(
            pod,
            "spec.initContainers",
            "status.initContainerStatuses",
            true,
        )
    }

    /// The app containers of a pod, in the order of their statuses.
    pub(crate) fn apps(pod: &'a Value) -> Vec<Self> {
        pair(pod, "spec.containers", "status.containerStatuses", false)
    }

    pub(crate) fn state(&self) -> State<'a> {
        if let Some(terminated) = field::at(self.status, "state.terminated") {
            return State::Terminated(terminated);
        }
        if field::at(self.status, "state.running").is_some() {
            let started_at = field::time(self.status, "state.running.startedAt");
            return State::Running { started_at };
        }
        State::Waiting {
            reason: field::text(self.status, "state.waiting.reason"),
            message: field::text(self.status, "state.waiting.message"),
        }
    }

    /// Whether it waits for a reason that is a failure.
    pub(crate) fn failed_waiting(&self) -> bool {
        match self.state() {
            State::Waiting { reason, .. } => !HARMLESS.contains(&reason),
            State::Running { .. } | State::Terminated(_) => false,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state(), State::Waiting { .. })
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.state(), State::Running { .. })
    }

    /// Whether it ended and is not to be started again.
    pub(crate) fn is_done(&self) -> bool {
        match self.state() {
            State::Terminated(end) => exit_code(end) == 0 && self.restart_policy != "Always",
            State::Waiting { .. } | State::Running { .. } => false,
        }
    }

    /// Whether it ended with exit code 0.
    pub(crate) fn has_succeeded(&self) -> bool {
        match self.state() {
            State::Terminated(end) => exit_code(end) == 0,
            State::Waiting { .. } | State::Running { .. } => false,
        }
    }

    /// Whether it is a native sidecar.
    pub(crate) fn is_sidecar(&self) -> bool {
        self.is_init && restarts_always(self.spec)
    }

    pub(crate) fn is_ready(&self) -> bool {
        field::is_set(self.status, "ready")
    }

    /// The `started` flag; `None` when not reported.
    pub(crate) fn started(&self) -> Option<bool> {
        field::at(self.status, "started").and_then(Value::as_bool)
    }

    pub(crate) fn restarts(&self) -> i64 {
        field::count(self.status, "restartCount")
    }

    /// How the run before this one ended.
    pub(crate) fn last_end(&self) -> Option<&'a Value> {
        field::at(self.status, "lastState.terminated")
    }

    /// A probe of the spec.
    pub(crate) fn probe(&self, name: &str) -> Option<&'a Value> {
        field::at(self.spec, name)
    }

    fn image(&self) -> &'a str {
        match field::text(self.spec, "image") {
            "" => field::text(self.status, "image"),
            image => image,
        }
    }

    /// The path of the container's state, for the evidence.
    pub(crate) fn field(&self, tail: &str) -> String {
        let list = if self.is_init {
            "initContainerStatuses"
        } else {
            "containerStatuses"
        };
        format!("status.{list}[{}].{tail}", self.name)
    }

    /// `last exit code 1 (Error): panic, 7 restarts`, as far as known, in both languages.
    pub(crate) fn crash_detail(&self, end: Option<&Value>) -> (String, String) {
        let (mut en, mut zh) = end.map(exit_text).unwrap_or_default();
        let restarts = self.restarts();
        if restarts > 0 {
            let comma = if en.is_empty() { ("", "") } else { (", ", ",") };
            let plural = if restarts == 1 { "" } else { "s" };
            en = format!("{en}{}{restarts} restart{plural}", comma.0);
            zh = format!("{zh}{}已重启 {restarts} 次", comma.1);
        }
        (en, zh)
    }

    /// `image r/x:1: manifest unknown`, in both languages.
    pub(crate) fn image_detail(&self, cause: &str) -> (String, String) {
        let colon = if cause.is_empty() {
            ("", "")
        } else {
            (": ", ":")
        };
        (
            format!("image {}{}{cause}", self.image(), colon.0),
            format!("镜像 {}{}{cause}", self.image(), colon.1),
        )
    }
}

/// Statuses in their order, each with its spec; then the specs that have no status.
fn pair<'a>(pod: &'a Value, specs: &str, statuses: &str, is_init: bool) -> Vec<Container<'a>> {
    const NOTHING: &Value = &Value::Null;
    let specs = field::list(pod, specs);
    let statuses = field::list(pod, statuses);
    let pod_policy = match field::text(pod, "spec.restartPolicy") {
        "" => "Always",
        policy => policy,
    };
    let named =
        |list: &'a [Value], name: &str| list.iter().find(|each| field::text(each, "name") == name);
    let make = |spec: &'a Value, status: &'a Value, name: &'a str| Container {
        name,
        is_init,
        spec,
        status,
        restart_policy: field::some_text(spec, "restartPolicy").unwrap_or(pod_policy),
    };
    let reported = statuses.iter().map(|status| {
        let name = field::text(status, "name");
        make(named(specs, name).unwrap_or(NOTHING), status, name)
    });
    let silent = specs.iter().filter_map(|spec| {
        let name = field::text(spec, "name");
        named(statuses, name)
            .is_none()
            .then(|| make(spec, NOTHING, name))
    });
    reported.chain(silent).collect()
}

/// The exit code of a `terminated` object.
pub(crate) fn exit_code(terminated: &Value) -> i64 {
    field::int(terminated, "exitCode").unwrap_or(0)
}

/// `last exit code 1 (Error): panic`, in both languages.
fn exit_text(terminated: &Value) -> (String, String) {
    let code = exit_code(terminated);
    let reason = ending_reason(terminated);
    let message = last_line(field::text(terminated, "message"));
    let mut en = format!("last exit code {code} ({reason})");
    let mut zh = format!("上次退出码 {code}({reason})");
    if !message.is_empty() {
        en = format!("{en}: {message}");
        zh = format!("{zh}:{message}");
    }
    (en, zh)
}

/// A waiting reason as a token, and the words that go with it (rule G7).
pub(crate) fn waiting_reason(reason: &str, message: &str) -> (String, String) {
    if is_token(reason) {
        return (reason.to_owned(), decisive(message));
    }
    let both = [decisive(message), decisive(reason)];
    let words: Vec<_> = both.into_iter().filter(|words| !words.is_empty()).collect();
    ("ContainerStartError".to_owned(), words.join(": "))
}

/// What lies behind a crash loop: the sub-reason of the last end.
pub(crate) fn crash_sub_reason(end: &Value) -> String {
    let reason = ending_reason(end);
    match (reason.as_str(), exit_code(end)) {
        ("OOMKilled", _) => "OOMKilled",
        ("StartError" | "ContainerCannotRun", _) | (_, 126 | 127) => "CommandNotRunnable",
        ("ContainerStatusUnknown", _) => "ContainerStatusUnknown",
        (_, 0) => "ContainerExited",
        (_, 137 | 143) => "Killed",
        _ => return reason,
    }
    .to_owned()
}

/// What lies behind a waiting reason.
pub(crate) fn waiting_sub_reason(
    container: &Container<'_>,
    reason: &str,
    words: &str,
) -> Option<String> {
    if reason == "CrashLoopBackOff" {
        return container.last_end().map(crash_sub_reason);
    }
    image::is_pull(reason)
        .then(|| image::sub_reason(words).map(str::to_owned))
        .flatten()
}
