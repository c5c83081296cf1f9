//! THE KIND TABLE: one row and one strategy file per kind.
//!
//! Everything that the API machinery knows of a kind stands in its row ([`Kind`]) and its [`Strategy`]; routes,
//! discovery, OpenAPI, RBAC names, storage keys, printing, list, watch and patch are derived.
//!
//! Invariants as absences: no I/O, no clock, no randomness; no code here runs for one request only.

pub mod amounts;
pub mod builtin;
pub mod kind;
pub mod quota;
pub mod registry;
pub mod schema;
pub mod strategy;
pub mod workloads;
pub mod write;

mod check;
mod defaults;
mod difference;
mod edit;
mod metadata;
mod plain;
mod print;
mod row;
mod status;

mod admissionregistration;
mod apiextensions;
mod apiregistration;
mod apps;
mod authentication;
mod authorization;
mod autoscaling;
mod batch;
mod certificates;
mod coordination;
mod core;
mod discovery;
mod events;
pub mod flowcontrol;
mod networking;
mod node;
mod policy;
mod rbac;
mod resource;
mod scheduling;
mod storage;

pub use autoscaling::Scale;
pub use builtin::builtin;
pub use kind::{Cell, Column, Kind, Scope, Subresource};
pub use registry::Registry;
pub use strategy::{Context, Lookup, Operation, Ranges, Strategy, User};
