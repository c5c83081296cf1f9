//! THE KIND TABLE: one row and one strategy file per kind.
//!
//! Everything that the API machinery knows of a kind stands in its row ([`Kind`]) and its [`Strategy`]; routes,
//! discovery, OpenAPI, RBAC names, storage keys, printing, list, watch and patch are derived.
//!
//! Invariants as absences: no I/O, no clock, no randomness; no code here runs for one request only.

pub mod kind;
pub mod registry;
pub mod schema;
pub mod strategy;

pub use kind::{Column, Kind, Scope, Subresource};
pub use registry::Registry;
pub use strategy::{Context, Lookup, Operation, Strategy};
