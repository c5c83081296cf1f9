//! What the node agent should do: the next step of a pod, its status, and the data containers are made from.
//!
//! - [`seen`]: everything a decision about a pod may depend on;
//! - [`admission`]: whether the node takes a pod at all;
//! - [`pod`]: `step` (what to do next) and `status` (what to report);
//! - [`image`], [`back_off`], [`probe`]: the rules these two share;
//! - [`sandbox`], [`container`], [`mod@env`], [`volume`]: what is handed to the runtime and put on disk;
//! - [`node_status`], [`pressure`]: what the node says about itself, and when it makes room;
//! - [`logs`]: when logs are put aside;
//! - [`local_storage`]: which pods keep more on disk than they may.
//!
//! Invariants as absences: no clock, no I/O, no randomness, nothing async; nothing is remembered
//! between two calls, so an agent that restarts decides as one that never stopped.

pub mod admission;
pub mod back_off;
pub mod container;
pub mod downward;
pub mod env;
pub mod events;
pub mod expand;
pub mod image;
pub mod local_storage;
pub mod logs;
pub mod names;
pub mod node_status;
pub mod pod;
pub mod pressure;
pub mod probe;
pub mod qos;
pub mod resources;
pub mod sandbox;
pub mod security;
pub mod seen;
pub mod volume;

pub use seen::Seen;
