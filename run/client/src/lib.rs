//! How every part of Sampan talks to an API server: clients, caches that follow it, queues of keys, events, leases.
//!
//! Invariants as absences: no decision about any kind is made here; nothing here opens the store.

pub mod cache;
pub mod connect;
pub mod discovery;
pub mod error;
pub mod informer;
pub mod lease;
pub mod queue;
pub mod recorder;
pub mod rest;

pub use cache::{Cache, Change};
pub use connect::{from_kubeconfig, in_process, in_process_as};
pub use error::ClientError;
pub use informer::{Informer, Informers};
pub use lease::Elector;
pub use queue::{QueueMetrics, WorkQueue};
pub use recorder::Recorder;
pub use rest::{Rest, Watching};
