//! The node's network in the kernel: bridge, addresses, forwarding, and what CNI needs to know of it.
//!
//! Names and subnets are per data directory, so that clusters on one machine do not meet.
//! This crate decides nothing about Services or policies, and knows no Kubernetes object.

mod command;
pub mod conflist;
mod instance;
mod node;
mod subnet;

pub use command::CommandError;
pub use instance::Instance;
pub use node::{NetworkError, NodeNetwork, forget_neighbours, lead_to_api, remove, set_up};
pub use subnet::{ParseSubnetError, Subnet};
