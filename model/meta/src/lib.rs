//! What every Kubernetes object has in common: identity, metadata, selectors, quantities, field errors, the Status body.
//!
//! Invariants as absences: no I/O, no clock, no randomness; nothing here knows a particular kind.

pub mod cidr;
pub mod der;
pub mod field;
pub mod go;
pub mod host_port;
pub mod id;
pub mod json_syntax;
pub mod names;
pub mod node_selector;
pub mod object;
pub mod quantity;
pub mod raw;
pub mod resource;
pub mod selector;
pub mod status;
pub mod taint;
pub mod time;

pub use field::{FieldError, Path};
pub use id::{GroupResource, Gvk, Gvr, Key};
pub use object::{Object, ObjectExt};
pub use quantity::Quantity;
pub use resource::Resource;
pub use status::{Status, StatusError};
