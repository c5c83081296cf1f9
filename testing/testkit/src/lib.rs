//! What several crates' tests share.

pub mod connection;
pub mod fake_api;
pub mod issuer;
pub mod registry;
