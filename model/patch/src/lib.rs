//! The four ways to change an object, and who owns which field afterwards.
//!
//! Pure functions over JSON values. Invariants as absences: no I/O, no clock, no kind is known by name; types come as
//! a [`kinds::schema::Schema`]. The caller decodes, defaults and validates what comes out.

mod go;
mod json;
pub mod managed;
mod merge;
mod strategic;

pub use go::{go_text, json_kind};
pub use json::{JSON_PATCH_OPERATIONS_MAX, json};
pub use merge::merge;
pub use strategic::strategic;
