//! What to do about a pod, and what to say about it.

mod apps;
mod conditions;
mod container_status;
mod init;
mod phase;
pub mod spec;
mod status;
mod step;
mod stop;
mod waiting;

#[cfg(test)]
mod testing;

pub use status::status;
pub use step::{Action, Stage, Start, Step, step};
pub use stop::grace_seconds;
