//! A containerd of our own: found, checked, configured, started, watched over and torn down.
//!
//! It has its own root, state, socket and configuration, so that a containerd of the system is left
//! alone. It outlives us: containers keep running while Sampan is stopped or replaced, and the next
//! start finds it by its socket. Nothing here speaks of pods; that is for `cri` and its callers.

mod archive;
mod config;
pub mod images;
mod layout;
mod mounts;
mod preconditions;
mod process;
mod programs;
mod supervisor;
mod teardown;

pub use config::SANDBOX_IMAGE;
pub use images::ImportError;
pub use layout::Layout;
pub use preconditions::{Missing, check, check_root};
pub use programs::Programs;
pub use supervisor::{Ready, StartError, ensure, watch_over};
pub use teardown::{TeardownError, teardown, undo};
