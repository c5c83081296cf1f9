//! HTTP verbs over the kind table; the only crate that opens the store.
//!
//! A request is told apart ([`request`]), its sender known ([`auth`]), then one generic verb runs ([`verbs`]). Every
//! write takes the one path in [`write`]. Nothing here knows a single built-in kind.

pub mod audit;
pub mod auth;
mod background;
mod body;
mod bootstrap;
mod call;
mod cluster;
pub mod compaction;
mod compress;
pub mod config;
mod discovery;
mod fixed;
mod flow_control;
mod form;
pub mod health;
mod heavy;
mod held;
mod limits;
pub mod listener;
mod metrics;
pub mod oidc;
pub mod openapi;
mod options;
mod ownership;
mod policy;
mod proxy;
pub mod request;
mod respond;
mod room;
mod selection;
mod server;
mod socket;
mod special;
mod stored;
mod turn;
mod verbs;
mod write;
mod zpages;

pub use bootstrap::{Bootstrapped, IdentityLease};
pub use cluster::index;
pub use config::Config;
pub use server::{ApiServer, Identity};
