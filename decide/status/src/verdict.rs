//! The verdict: what [`evaluate`](crate::evaluate) answers.

use jiff::Timestamp;
use serde::Serialize;

use crate::text::Text;

/// The state of a workload, from a closed set per kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Status {
    /// Creation, upgrade, rollback or scaling under way, or held on purpose.
    Waiting,
    /// All requested instances serve, in the revision that the user asked for.
    Running,
    /// Instances are missing, pending or abnormal.
    NotReady,
    /// The truth cannot be obtained, or a Job failed.
    Exception,
    /// Deletion was requested.
    Deleting,
    /// A Job runs, retries within its limit included.
    Executing,
    /// A Job completed.
    ExecutionComplete,
    /// A CronJob's schedule is active.
    Started,
    /// A CronJob is suspended.
    Stopped,
    /// A Pod ended with success.
    Succeeded,
    /// A Pod ended without success.
    Failed,
}

impl Status {
    /// The English token, as in the API.
    pub fn token(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::NotReady => "NotReady",
            Self::Exception => "Exception",
            Self::Deleting => "Deleting",
            Self::Executing => "Executing",
            Self::ExecutionComplete => "ExecutionComplete",
            Self::Started => "Started",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    /// The words that people read, in both languages.
    pub fn words(self) -> Text {
        let (en, zh) = match self {
            Self::Waiting => ("Waiting", "等待中"),
            Self::Running => ("Running", "运行中"),
            Self::NotReady => ("Not Ready", "未就绪"),
            Self::Exception => ("Exception", "异常"),
            Self::Deleting => ("Deleting", "删除中"),
            Self::Executing => ("Executing", "执行中"),
            Self::ExecutionComplete => ("Execution Complete", "执行完成"),
            Self::Started => ("Started", "已启动"),
            Self::Stopped => ("Stopped", "已停止"),
            Self::Succeeded => ("Succeeded", "正常终止"),
            Self::Failed => ("Failed", "异常停止"),
        };
        Text::new(en, zh)
    }
}

/// How much a verdict matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// On its way, or held on purpose.
    Info,
    /// Serves, but needs a look.
    Warning,
    /// Needs a person now.
    Error,
}

impl Severity {
    /// The word, as in the API.
    pub fn token(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Everything the engine says about one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The state.
    pub status: Status,
    /// Why, as a token: one of [`explain`](crate::explain)'s reasons, or passed through from a
    /// condition. Never contains blanks.
    pub reason: String,
    /// The cause behind crash loops and pull failures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_reason: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence that names the root cause.
    pub message: Text,
    /// The first of `causes`; `None` when nothing is wrong.
    pub cause: Option<Cause>,
    /// Every group of troubled pods, and the object's own trouble, worst first.
    pub causes: Vec<Cause>,
    /// The numbers behind the verdict.
    pub counts: Counts,
    /// What to do, best first.
    pub next_steps: Vec<NextStep>,
    /// Where to look.
    pub links: Links,
    /// When the state began; `None` when not known.
    pub since: Option<Timestamp>,
    /// Earliest time at which the verdict can change without any object changing; `None`: never.
    pub recheck_at: Option<Timestamp>,
    /// Which version of the spec the numbers belong to.
    pub observed: Observed,
    /// How much was known.
    pub evidence: Evidence,
}

/// One group of troubles with the same reason, shown by its first member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Kind of the object that shows the trouble.
    pub kind: String,
    /// Its namespace; empty for cluster-wide objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The container, if one is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whether that is an init container.
    pub init: bool,
    /// The node of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Where in the object it stands.
    pub field: String,
    /// The unedited message found there.
    pub raw: String,
    /// Since when, if known.
    pub since: Option<Timestamp>,
    /// The reason of this group.
    pub reason: String,
    /// What is said about the first member.
    pub message: Text,
    /// How many pods the group has; 1 for the object itself.
    pub count: usize,
}

/// Replica numbers; `None`: the kind does not have that number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Asked for. Job: completions.
    pub desired: Option<i64>,
    /// Existing. Job: active pods.
    pub current: Option<i64>,
    /// Of the newest revision.
    pub updated: Option<i64>,
    /// Ready.
    pub ready: Option<i64>,
    /// Available. Job: succeeded pods.
    pub available: Option<i64>,
    /// Asked for and not effectively available.
    pub unavailable: Option<i64>,
}

/// Something a person can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextStep {
    /// The reason that this step answers.
    pub code: String,
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
    /// A command to begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Where the evidence can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    /// The log to read, if a container has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogLink>,
    /// The object whose events tell more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<EventLink>,
}

/// A container's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLink {
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
    /// Whether the log of the previous run is the one to read.
    pub previous: bool,
}

/// The object of some events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventLink {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

/// Generations of the subject; `None` when it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `status.observedGeneration`, if it is a number.
    pub observed_generation: Option<i64>,
}

/// How much was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Evidence {
    /// The object only.
    #[serde(rename = "object")]
    Object,
    /// The object and its pods.
    #[serde(rename = "pods")]
    Pods,
    /// Also their nodes.
    #[serde(rename = "pods+nodes")]
    PodsNodes,
    /// Also the events.
    #[serde(rename = "pods+nodes+events")]
    PodsNodesEvents,
}
