//! May this request pass, and in which form: authorization and built-in admission, as pure functions.
//!
//! Who asks is settled before (authentication is an effect: certificates, tokens, clocks); what follows from it is
//! decided here, over the request's attributes and one snapshot of the cluster.

pub mod admission;
pub mod attributes;
pub mod audit;
pub mod authn;
pub mod bootstrap;
pub mod certificates;
pub mod flow;
pub mod node;
pub mod quota;
pub mod rbac;
pub mod user;

#[cfg(test)]
mod testing;

pub use attributes::{Attributes, Decision};
pub use rbac::Policy;
