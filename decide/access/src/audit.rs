//! What of a request is told to the audit log: the policy, the level of a request, and the event.
//!
//! Writing it down is an effect and is not here.
//!
//! Source: apiserver `apis/audit`, `audit`, `audit/policy`.

mod bodies;
mod event;
mod policy;
mod rotation;
mod source;

use serde::Serialize;

pub use bodies::{may_hide, shown};
pub use event::{AuthenticationMetadata, Event, ObjectReference, ResponseStatus, UserInfo};
pub use policy::{Audited, Policy, PolicyError, Rule};
pub use rotation::{Rotation, backup_name, surplus};
pub use source::source_ips;

/// How much is told of a request; later is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Level {
    /// Nothing.
    None,
    /// Who asked for what, when, and how it ended.
    Metadata,
    /// And the body of the request.
    Request,
    /// And the body of the answer.
    RequestResponse,
}

/// When in the course of a request an event is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Stage {
    /// Its sender is known.
    RequestReceived,
    /// The answer of a long-running request begins.
    ResponseStarted,
    /// The answer is complete.
    ResponseComplete,
    /// The server broke off.
    Panic,
}

/// Some of the stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages(u8);

impl Level {
    /// All levels.
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::Metadata,
        Self::Request,
        Self::RequestResponse,
    ];

    /// Its name in policies, events and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 4] = [
        Self::RequestReceived,
        Self::ResponseStarted,
        Self::ResponseComplete,
        Self::Panic,
    ];

    /// Its name in policies and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

impl Stages {
    /// Whether a stage is among them.
    pub fn contains(self, stage: Stage) -> bool {
        self.0 & (1 << stage as u8) != 0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Stage> for Stages {
    fn from_iter<I: IntoIterator<Item = Stage>>(stages: I) -> Self {
        let bits = stages.into_iter().map(|stage| 1 << stage as u8);
        Self(bits.fold(0, |all, bit: u8| all | bit))
    }
}
