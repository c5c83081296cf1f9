//! What is seen of one pod: its object, the runtime's sandboxes and containers, volumes, probes and
//! what the agent is doing for it just now.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::admission::Rejection;

/// All that a decision about one pod may depend on, besides the time.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The pod as the API server has it; for a pod that is gone there, what the runtime's labels tell.
    pub pod: Pod,
    /// Whether the API server no longer has the pod.
    pub is_orphan: bool,
    /// Why the node does not take the pod; `None` when it does.
    pub rejection: Option<Rejection>,
    /// Why the node ends the pod: it takes more than it may. `None` when it does not.
    pub eviction: Option<String>,
    /// Sandboxes of the pod, newest first.
    pub sandboxes: Vec<Sandbox>,
    /// Containers of the pod in any sandbox, newest first.
    pub containers: Vec<Container>,
    /// Images that were looked up, by their reference in the pod's spec.
    pub images: BTreeMap<String, ImageSeen>,
    /// Containers whose image was pulled for the start to come, with the attempt it was pulled for.
    pub pulled: BTreeMap<String, u32>,
    /// Pulls that failed, by image reference, since the last that succeeded.
    pub pull_failures: BTreeMap<String, Failure>,
    /// Starts that failed before the container ran, by container, since the last that succeeded.
    pub start_failures: BTreeMap<String, Failure>,
    /// Why the last attempt at a sandbox failed.
    pub sandbox_failure: Option<Failure>,
    /// Verdicts of probes, by container id.
    pub probes: BTreeMap<String, Probes>,
    /// How far the volumes are.
    pub volumes: Volumes,
    /// What the agent is doing for the pod at this moment.
    pub in_flight: BTreeMap<Subject, Doing>,
    /// Whether the last status written to the API server is the one decided now.
    pub is_status_written: bool,
    /// What the node lends to its pods' statuses.
    pub node: NodeFacts,
}

/// Facts of the node that show in every pod's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Addresses of the node, the preferred family first.
    pub host_ips: Vec<String>,
    /// Prefix of container ids in statuses, such as `containerd`.
    pub runtime_name: String,
    /// Why the pod network cannot be used yet; `None` when it can.
    pub network_error: Option<String>,
}

/// A sandbox as the runtime has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: String,
    /// How many sandboxes the pod had before.
    pub attempt: u32,
    /// Whether it can hold containers.
    pub is_ready: bool,
    /// Addresses inside the sandbox; empty on the host's network.
    pub ips: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A container as the runtime has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id.
    pub id: String,
    /// The container's name in the pod.
    pub name: String,
    /// The sandbox it is in.
    pub sandbox_id: String,
    /// Number of restarts before this instance.
    pub attempt: u32,
    /// What it is doing.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first process began; `None` if it never did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Exit code, once ended.
    pub exit_code: i32,
    /// The runtime's reason for the end, such as `OOMKilled`.
    pub reason: String,
    /// What the container or the runtime left as a message.
    pub message: String,
    /// The image as the runtime names it.
    pub image: String,
    /// The image's digest reference or id.
    pub image_ref: String,
    /// Hash of the part of the spec it was made from; `None` if unknown.
    pub spec_hash: Option<String>,
    /// Crashes in a row before this instance; `None` if made by an agent that does not say.
    pub crashes: Option<u32>,
    /// Termination grace period it was made with, in seconds.
    pub grace_seconds: Option<i64>,
}

/// The state of a container in the runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Made, not started.
    #[default]
    Created,
    /// Its first process runs.
    Running,
    /// Its first process ended.
    Exited,
    /// The runtime lost track of it.
    Unknown,
}

/// What is known of an image on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSeen {
    /// It is here, under this id.
    Present {
        /// The runtime's id of the image.
        id: String,
    },
    /// It was not here.
    Absent {
        /// When it was looked up.
        at: Timestamp,
    },
    /// The runtime could not tell.
    Unreadable {
        /// When it was asked.
        at: Timestamp,
        /// The runtime's words.
        message: String,
    },
}

/// Something that went wrong and is tried again after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Upstream's reason, such as `ErrImagePull`.
    pub reason: String,
    /// What happened, for people.
    pub message: String,
    /// When it last happened.
    pub at: Timestamp,
    /// How often in a row; at least 1.
    pub count: u32,
}

/// Verdicts of one container's probes; `None` while there is no verdict yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// Whether the container has started.
    pub startup: Option<bool>,
    /// Whether it is alive.
    pub liveness: Option<bool>,
    /// Whether it can serve.
    pub readiness: Option<bool>,
}

/// How far the volumes of a pod are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Volumes {
    /// Nothing was done yet.
    #[default]
    Missing,
    /// All are in place.
    Ready,
    /// They cannot be put in place.
    Failed(Failure),
    /// They were taken away for good.
    Removed,
}

/// What an action is about; at most one action per subject is under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The volumes.
    Volumes,
    /// The sandbox.
    Sandbox,
    /// A container, by name.
    Container(String),
    /// The pod object in the API server.
    Object,
}

/// What the agent is doing to a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Pulling an image; may be given up at any moment.
    Pulling,
    /// Making or starting something.
    Starting,
    /// Stopping or removing something.
    Stopping,
}

impl Seen {
    /// The sandbox in use: the newest one, if it is ready and has the addresses its pod needs.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        let newest = self.sandboxes.first().filter(|sandbox| sandbox.is_ready)?;
        (self.is_host_network() || !newest.ips.is_empty()).then_some(newest)
    }

    /// Whether the pod shares the node's network.
    pub fn is_host_network(&self) -> bool {
        let spec = self.pod.spec.as_ref();
        spec.and_then(|spec| spec.host_network).unwrap_or(false)
    }

    /// The newest instance of a container, in any sandbox.
    pub fn newest(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|one| one.name == name)
    }

    /// The newest instance of a container in the sandbox in use.
    pub fn current(&self, name: &str) -> Option<&Container> {
        let sandbox = self.sandbox()?;
        let mut instances = self.containers.iter().filter(|one| one.name == name);
        instances.find(|one| one.sandbox_id == sandbox.id)
    }

    /// Containers that may have a living process.
    pub fn living(&self) -> impl Iterator<Item = &Container> {
        let lives = |one: &&Container| matches!(one.state, State::Running | State::Unknown);
        self.containers.iter().filter(lives)
    }

    /// Names of containers something is being done to.
    pub fn busy(&self) -> BTreeSet<&str> {
        self.in_flight
            .keys()
            .filter_map(|subject| match subject {
                Subject::Container(name) => Some(name.as_str()),
                Subject::Volumes | Subject::Sandbox | Subject::Object => None,
            })
            .collect()
    }

    /// Whether something is being done to this container.
    pub fn is_busy(&self, name: &str) -> bool {
        self.in_flight
            .contains_key(&Subject::Container(name.to_owned()))
    }
}
