//! The four ways to change an object, and who owns which field afterwards.
//!
//! Pure functions over JSON values. Invariants as absences: no I/O, no clock, no kind is known by name; types come as
//! a [`kinds::schema::Schema`]. The caller decodes, defaults and validates what comes out.

mod go;
mod json;
mod lazy;
pub mod managed;
mod merge;
mod strategic;
mod tree;

pub use go::go_text;
pub use json::{JSON_PATCH_OPERATIONS_MAX, json, json_text};
pub use merge::{merge, merge_text};
pub use strategic::{strategic, strategic_left};
