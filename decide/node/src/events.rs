//! Reasons of the agent's events, as upstream spells them.
//!
//! Source: `pkg/kubelet/events/event.go`.

use std::borrow::Cow;

/// A container was created.
pub const CREATED: &str = "Created";
/// A container was started.
pub const STARTED: &str = "Started";
/// A container, an image or a directory failed.
pub const FAILED: &str = "Failed";
/// A container is being stopped.
pub const KILLING: &str = "Killing";
/// A container or a pull has to wait.
pub const BACK_OFF: &str = "BackOff";
/// A pull begins.
pub const PULLING: &str = "Pulling";
/// An image is on the node.
pub const PULLED: &str = "Pulled";
/// An image could not be looked up.
pub const INSPECT_FAILED: &str = "InspectFailed";
/// An image is missing and must not be pulled.
pub const ERR_IMAGE_NEVER_PULL: &str = "ErrImageNeverPull";
/// A pod could not be stopped.
pub const FAILED_KILL_POD: &str = "FailedKillPod";
/// A volume could not be put in place.
pub const FAILED_MOUNT: &str = "FailedMount";
/// A sandbox is made anew.
pub const SANDBOX_CHANGED: &str = "SandboxChanged";
/// A sandbox could not be made.
pub const FAILED_CREATE_POD_SANDBOX: &str = "FailedCreatePodSandBox";
/// A probe failed.
pub const UNHEALTHY: &str = "Unhealthy";
/// A probe succeeded in a way that may not be meant.
pub const PROBE_WARNING: &str = "ProbeWarning";
/// A hook after the start failed.
pub const FAILED_POST_START_HOOK: &str = "FailedPostStartHook";
/// A hook before the stop failed.
pub const FAILED_PRE_STOP_HOOK: &str = "FailedPreStopHook";
/// The pod network is not there yet.
pub const NETWORK_NOT_READY: &str = "NetworkNotReady";
/// A pod ran longer than it may.
pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
/// The node ends a pod that takes too much. Source: `pkg/kubelet/eviction/helpers.go`, `Reason`.
pub const EVICTED: &str = "Evicted";
/// The node can run pods.
pub const NODE_READY: &str = "NodeReady";
/// The node cannot run pods.
pub const NODE_NOT_READY: &str = "NodeNotReady";
/// The agent starts.
pub const STARTING: &str = "Starting";
/// Images could not be removed.
pub const IMAGE_GC_FAILED: &str = "ImageGCFailed";

/// Whether an event tells of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing to worry about.
    Normal,
    /// Something is wrong.
    Warning,
}

impl Severity {
    /// The event's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event about a pod, to be recorded by the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether it tells of a problem.
    pub severity: Severity,
    /// One of the reasons of this module, or why the node does not take a pod.
    pub reason: Cow<'static, str>,
    /// What happened, for people.
    pub message: String,
    /// The container it is about, as `spec.containers{web}`.
    pub field_path: Option<String>,
}

impl Event {
    /// An event that tells of no problem.
    pub fn normal(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Normal,
            reason: reason.into(),
            message: message.into(),
            field_path: None,
        }
    }

    /// An event that tells of a problem.
    pub fn warning(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::normal(reason, message)
        }
    }

    /// The same event, about one container of the pod.
    #[must_use]
    pub fn about(mut self, spec: &k8s_openapi::api::core::v1::PodSpec, container: &str) -> Self {
        self.field_path = crate::pod::spec::field_path(spec, container);
        self
    }
}
