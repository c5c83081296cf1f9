//! Which node a pod should run on: filters say where it can, scores say where it had better.
//!
//! Invariants as absences: no async, no clock, no I/O, no randomness (ties are broken by a number the caller gives);
//! the cluster is a value that the caller keeps up to date.

pub mod affinity;
pub mod cluster;
pub mod filter;
pub mod pod;
pub mod rejection;
pub mod resources;
pub mod schedule;
pub mod score;
pub mod wake;

pub use cluster::{Cluster, Node};
pub use pod::Pod;
pub use rejection::{Plugin, Rejection, Rejections};
pub use resources::Resources;
pub use schedule::{Placement, schedule};
pub use wake::Event;

#[cfg(test)]
mod tests;
