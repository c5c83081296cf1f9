//! Bytes <-> objects: reading JSON and YAML strictly, encoding canonically, protobuf, lists, tables,
//! watch frames, negotiation.
//!
//! Invariants as absences: no I/O; nothing here knows a particular kind.

pub mod encode;
pub mod frame;
pub mod json;
pub mod list;
pub mod media;
pub mod openapi;
pub mod partial;
pub mod present;
pub mod protobuf;
pub mod table;
pub mod yaml;
