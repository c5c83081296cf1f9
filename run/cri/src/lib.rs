//! The Container Runtime Interface (CRI v1): everything the kubelet may ask of containers and images.
//!
//! - [`v1`]: the messages, clients and servers, generated from `proto/cri.proto`;
//! - [`Runtime`]: one connection to a runtime, with a method per call.
//! - `contract`: what every runtime must do, as tests; `fake`: a runtime without containers.
//!
//! This crate decides nothing about pods and knows no Kubernetes object.

mod client;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
#[cfg(feature = "fake")]
pub mod fake;

#[expect(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    missing_docs,
    reason = "generated from proto/cri.proto, which the upstream definition documents"
)]
#[path = "generated/runtime_v1.rs"]
pub mod v1;

pub use client::{CALL_TIMEOUT, MESSAGE_BYTES_MAX, Observer, Runtime};
pub use error::CallError;
pub use tonic::Code;
