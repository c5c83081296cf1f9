//! The node agent: one loop per pod that sees, decides by [`node`] and acts through CRI.
//!
//! - [`config`]: what [`run`] is given;
//! - `pods`, `pod_loop`, `observe`, `act`: a pod's life;
//! - `volumes`, `sources`, `probes`, `hooks`, `exits`: what that life needs;
//! - `machine`, `registration`: the Node object and its lease;
//! - `housekeeping`: what fills up is emptied: logs, images;
//! - `server`: logs, exec, attach and port-forward over HTTPS.
//!
//! Invariants as absences: no decision about a pod is made here; no container is reached but through
//! CRI; nothing about a pod is kept on disk, so an agent that restarts picks up what it sees.

mod act;
mod agent;
mod cgroups;
pub mod config;
mod convert;
mod credentials;
mod exits;
mod history;
mod hooks;
mod housekeeping;
mod local_storage;
mod logs;
mod machine;
mod metrics;
mod mounts;
mod observe;
mod pod_loop;
mod pods;
mod probes;
mod registration;
mod server;
mod sources;
mod status_patch;
mod volumes;

pub use agent::run;
pub use config::{KubeletConfig, KubeletError, Network, Serving};
