//! What is counted, under upstream's names, and the text in which scrapers read it.
//!
//! Invariants as absences: nothing here counts anything but the process itself; no name is known here but those of
//! the process and of the registries.

#[cfg(any(test, feature = "facts"))]
pub mod facts;
mod number;
mod process;
mod registry;
mod sheet;
mod text;

pub use process::Process;
pub use registry::{ALPHA, BETA, Registry, STABLE, Stability, UNRATED};
pub use sheet::{Heading, Sheet};
pub use text::{media_type, text};
