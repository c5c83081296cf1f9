//! The health of one pod: rules P1 to P12, tried top down (specification, 5.3).
//!
//! Rule P9 of the specification stands after P12, as there.

use jiff::Timestamp;
use serde_json::Value;

use super::container::Container;
use super::{init, probe, running, scheduling};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::field;
use crate::node::{NodeState, Nodes};
use crate::text::{Text, cut, last_line};
use crate::verdict::{Severity, Status};

/// What a pod counts as in its workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Its state cannot be known.
    Lost,
    /// Going away on a live node.
    Terminating,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Held by a scheduling gate.
    Gated,
    /// It will not become ready by waiting.
    Blocked,
    /// On its way.
    Starting,
    /// It serves.
    Ready,
}

/// What the rules look at besides the pod.
pub(crate) struct Env<'e, 'a> {
    pub(crate) clock: &'e Clock,
    pub(crate) config: &'e Config,
    pub(crate) nodes: &'e Nodes<'a>,
    pub(crate) events: &'e Events<'a>,
}

/// The verdict on one pod.
#[derive(Debug, Clone)]
pub(crate) struct PodHealth<'a> {
    pub(crate) pod: &'a Value,
    pub(crate) class: Class,
    pub(crate) status: Status,
    pub(crate) reason: String,
    pub(crate) sub_reason: Option<String>,
    pub(crate) severity: Severity,
    /// Names the pod, the container and the trouble.
    pub(crate) message: Text,
    /// Name and whether it is an init container.
    pub(crate) container: Option<(String, bool)>,
    /// Whether the container has a log, and whether the previous one is the one to read.
    pub(crate) log: Option<bool>,
    /// The node's reason, on a lost node.
    pub(crate) node_reason: &'a str,
    pub(crate) field: String,
    pub(crate) raw: String,
    pub(crate) since: Option<Timestamp>,
    /// Whether only an event tells the trouble; such a pod counts as starting once the event is gone.
    pub(crate) is_by_event: bool,
    /// The catalogue row with the next step, where it is not the reason's own.
    pub(crate) step: Option<&'static str>,
}

/// A pod under examination.
pub(crate) struct Seen<'s, 'e, 'a> {
    pub(crate) pod: &'a Value,
    pub(crate) env: &'s Env<'e, 'a>,
    pub(crate) node: NodeState<'a>,
    pub(crate) inits: Vec<Container<'a>>,
    pub(crate) apps: Vec<Container<'a>>,
}

/// Judges one pod.
pub(crate) fn judge<'a>(pod: &'a Value, env: &Env<'_, 'a>) -> PodHealth<'a> {
    let seen = Seen {
        pod,
        env,
        node: env.nodes.state(field::text(pod, "spec.nodeName")),
        inits: Container::inits(pod),
        apps: Container::apps(pod),
    };
    deleting(&seen)
        .or_else(|| ended(&seen))
        .or_else(|| lost(&seen))
        .or_else(|| scheduling::judge(&seen))
        .or_else(|| init::judge(&seen))
        .or_else(|| running::broken(&seen))
        .or_else(|| running::ready(&seen))
        .or_else(|| probe::gates(&seen))
        .unwrap_or_else(|| probe::unready(&seen))
}

/// P1: deletion was requested.
fn deleting<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let requested = field::some_text(seen.pod, "metadata.deletionTimestamp")?;
    let since: Option<Timestamp> = requested.parse().ok();
    let is_terminal = matches!(seen.phase(), "Succeeded" | "Failed");
    let is_lost = field::text(seen.pod, "status.reason") == "NodeLost" || seen.node.is_lost();
    let name = field::name(seen.pod);
    let health = if is_lost && !is_terminal {
        let node = node_text(seen);
        PodHealth::new(
            seen,
            Class::Lost,
            Status::Deleting,
            "TerminationStuckOnLostNode",
        )
        .severity(Severity::Warning)
        .message(Text::new(
            format!("pod {name} cannot finish terminating: {}", node.en),
            format!("Pod {name} 无法完成终止:{}", node.zh),
        ))
    } else if !is_terminal
        && seen
            .env
            .clock
            .known_past(since, seen.env.config.terminating_slack_seconds)
    {
        PodHealth::new(
            seen,
            Class::Terminating,
            Status::Deleting,
            "TerminationStuck",
        )
        .severity(Severity::Warning)
        .message(Text::new(
            format!("pod {name} does not stop: it is past its grace period on a live node"),
            format!("Pod {name} 未停止:已超过宽限期,节点正常"),
        ))
        .naming_finalizers(seen.pod)
    } else {
        PodHealth::new(seen, Class::Terminating, Status::Deleting, "Terminating")
            .severity(Severity::Info)
            .message(Text::new(
                format!("pod {name} is being deleted"),
                format!("Pod {name} 正在删除"),
            ))
    };
    Some(
        health
            .at("metadata.deletionTimestamp", requested)
            .since(since),
    )
}

/// P2 and P3: the pod has ended.
fn ended<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    match seen.phase() {
        "Succeeded" => Some(
            PodHealth::new(seen, Class::Succeeded, Status::Succeeded, "Completed")
                .severity(Severity::Ok)
                .message(Text::new(
                    format!("pod {} has completed", field::name(seen.pod)),
                    format!("Pod {} 已完成", field::name(seen.pod)),
                )),
        ),
        "Failed" => Some(failed(seen)),
        _ => None,
    }
}

/// P3: why a pod failed; the pod's own reason first, then the first container that ended badly.
fn failed<'a>(seen: &Seen<'_, '_, 'a>) -> PodHealth<'a> {
    let name = field::name(seen.pod);
    let culprit =
        seen.inits
            .iter()
            .chain(&seen.apps)
            .find_map(|container| match container.state() {
                super::container::State::Terminated(end)
                    if super::container::exit_code(end) != 0 =>
                {
                    Some((*container, end))
                }
                _ => None,
            });
    let own = field::text(seen.pod, "status.reason");
    let reason = if is_word(own) {
        own.to_owned()
    } else {
        culprit.map_or_else(
            || "PodFailed".to_owned(),
            |(_, end)| super::column::ending_reason(end),
        )
    };
    let said = cut(field::text(seen.pod, "status.message"));
    let mut message = Text::new(
        format!("pod {name} failed ({reason})"),
        format!("Pod {name} 失败({reason})"),
    )
    .quoting(&said);
    let health =
        PodHealth::new(seen, Class::Failed, Status::Failed, &reason).severity(Severity::Error);
    let Some((container, end)) = culprit else {
        let raw = field::text(seen.pod, "status.message");
        return health.message(message).at("status.reason", raw);
    };
    let code = super::container::exit_code(end);
    let ending = super::column::ending_reason(end);
    message = message
        .with(
            &format!(
                ", container {} ended with exit code {code} ({ending})",
                container.name
            ),
            &format!(",容器 {} 的退出码为 {code}({ending})", container.name),
        )
        .quoting(&last_line(field::text(end, "message")));
    health
        .message(message)
        .container(&container)
        .log(false)
        .at(
            &container.field("state.terminated"),
            field::text(end, "message"),
        )
        .since(field::time(end, "finishedAt"))
}

/// P4 and P4b: the pod's state cannot be known.
///
/// Beyond the specification: a node that lacks only its pod network still reports, and pods in the
/// host's network do run on it, so those are judged by their own state. Otherwise the network
/// plugin's own DaemonSet would blame the missing network for its failing image pull.
fn lost<'a>(seen: &Seen<'_, '_, 'a>) -> Option<PodHealth<'a>> {
    let was_lost =
        field::text(seen.pod, "status.reason") == "NodeLost" || seen.phase() == "Unknown";
    let lives_without_network =
        seen.node.lacks_network_only() && field::is_set(seen.pod, "spec.hostNetwork");
    let reason = if (seen.node.is_lost() && !lives_without_network) || was_lost {
        seen.node.reason()
    } else if is_marked_by_node_controller(seen) {
        "NodeMarkedNotReady"
    } else {
        return None;
    };
    let node = node_text(seen);
    let ready = field::condition(seen.pod, "Ready");
    let is_explained = crate::reasons::row_of(reason).is_some() && reason != "NodeNotReady";
    let step = match seen.node {
        NodeState::NotReady { .. } if is_explained => None,
        NodeState::NotReady { .. } if seen.node.lacks_runtime() => Some("DockerDaemonNotReady"),
        NodeState::NotReady { .. } => Some("NodeNotReady"),
        NodeState::Ready
        | NodeState::Missing
        | NodeState::Unknown
        | NodeState::Unreachable { .. } => None,
    };
    let mut health = PodHealth::new(seen, Class::Lost, Status::Exception, reason)
        .severity(Severity::Error)
        .message(Text::new(
            format!(
                "pod {} cannot be observed: {}",
                field::name(seen.pod),
                node.en
            ),
            format!("无法得知 Pod {} 的状态:{}", field::name(seen.pod), node.zh),
        ))
        .at("spec.nodeName", seen.node.message())
        .since(
            seen.node
                .since()
                .or_else(|| ready.and_then(|ready| field::time(ready, "lastTransitionTime"))),
        );
    health.step = step;
    Some(health)
}

/// P4b: only the node controller writes Ready=False without a reason.
fn is_marked_by_node_controller(seen: &Seen<'_, '_, '_>) -> bool {
    let unexplained = field::condition(seen.pod, "Ready").is_some_and(|ready| {
        field::text(ready, "status") == "False" && field::text(ready, "reason").is_empty()
    });
    !seen.env.nodes.are_known()
        && seen.phase() == "Running"
        && unexplained
        && field::is_true(seen.pod, "ContainersReady")
        && field::list(seen.pod, "spec.readinessGates").is_empty()
}

/// What is wrong with the node of a pod.
fn node_text(seen: &Seen<'_, '_, '_>) -> Text {
    let name = field::text(seen.pod, "spec.nodeName");
    let said = cut(seen.node.message());
    match seen.node {
        NodeState::NotReady { .. } if seen.node.lacks_runtime() => Text::new(
            format!("node {name} is not ready, its container runtime does not work"),
            format!("节点 {name} 未就绪,其容器运行时不可用"),
        )
        .quoting(&said),
        NodeState::NotReady { .. } => Text::new(
            format!("node {name} is not ready"),
            format!("节点 {name} 未就绪"),
        )
        .quoting(&said),
        NodeState::Missing => Text::new(
            format!("node {name} no longer exists"),
            format!("节点 {name} 已不存在"),
        ),
        NodeState::Unreachable { .. } => Text::new(
            format!("node {name} is unreachable"),
            format!("节点 {name} 失联"),
        )
        .quoting(&said),
        NodeState::Ready | NodeState::Unknown => Text::new(
            format!(
                "node {name} has stopped reporting (inferred from the pod, nodes are not visible)"
            ),
            format!("节点 {name} 已停止上报(由 Pod 状态推断,节点不可见)"),
        ),
    }
}

/// Letters and digits: fit to stand as a reason, though maybe not in upper case.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|each| each.is_ascii_alphanumeric())
}

impl Seen<'_, '_, '_> {
    /// `status.phase`.
    pub(crate) fn phase(&self) -> &str {
        field::text(self.pod, "status.phase")
    }

    /// Creation time, or the time of the oldest scheduling condition.
    pub(crate) fn born(&self) -> Option<Timestamp> {
        field::time(self.pod, "metadata.creationTimestamp").or_else(|| {
            field::condition(self.pod, "PodScheduled")
                .and_then(|condition| field::time(condition, "lastTransitionTime"))
        })
    }

    /// `pod X, container C: REASON` in both languages, to be followed by details.
    pub(crate) fn naming(&self, container: &Container<'_>, reason: &str) -> Text {
        let pod = field::name(self.pod);
        let (en, zh) = if container.is_init {
            ("init container", "初始化容器")
        } else {
            ("container", "容器")
        };
        let c = container.name;
        Text::new(
            format!("pod {pod}, {en} {c}: {reason}"),
            format!("Pod {pod} 的{zh} {c}:{}", crate::reasons::named_zh(reason)),
        )
    }
}

impl<'a> PodHealth<'a> {
    pub(crate) fn new(seen: &Seen<'_, '_, 'a>, class: Class, status: Status, reason: &str) -> Self {
        Self {
            pod: seen.pod,
            class,
            status,
            reason: reason.to_owned(),
            sub_reason: None,
            severity: Severity::Info,
            message: Text::quote(""),
            container: None,
            log: None,
            node_reason: seen.node.reason(),
            field: "status".to_owned(),
            raw: String::new(),
            since: None,
            is_by_event: false,
            step: None,
        }
    }

    /// A pod that will not become ready by waiting.
    pub(crate) fn blocked(seen: &Seen<'_, '_, 'a>, reason: &str) -> Self {
        Self::new(seen, Class::Blocked, Status::NotReady, reason).severity(Severity::Error)
    }

    /// A pod on its way.
    pub(crate) fn starting(seen: &Seen<'_, '_, 'a>, reason: &str) -> Self {
        Self::new(seen, Class::Starting, Status::Waiting, reason)
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(crate) fn message(mut self, message: Text) -> Self {
        self.message = message;
        self
    }

    pub(crate) fn container(mut self, container: &Container<'_>) -> Self {
        self.container = Some((container.name.to_owned(), container.is_init));
        self
    }

    /// The container has a log; `is_previous`: the one before the last restart tells more.
    pub(crate) fn log(mut self, is_previous: bool) -> Self {
        self.log = Some(is_previous);
        self
    }

    pub(crate) fn at(mut self, field: &str, raw: &str) -> Self {
        field.clone_into(&mut self.field);
        raw.clone_into(&mut self.raw);
        self
    }

    pub(crate) fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    pub(crate) fn sub_reason(mut self, sub_reason: Option<String>) -> Self {
        self.sub_reason = sub_reason;
        self
    }

    fn naming_finalizers(mut self, pod: &Value) -> Self {
        let names = finalizers(pod);
        if !names.is_empty() {
            self.message = self.message.with(
                &format!("; finalizers: {names}"),
                &format!(";终结器:{names}"),
            );
        }
        self
    }
}

/// The finalizers of an object, comma-separated.
pub(crate) fn finalizers(object: &Value) -> String {
    let names: Vec<_> = field::list(object, "metadata.finalizers")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    cut(&names.join(", "))
}
