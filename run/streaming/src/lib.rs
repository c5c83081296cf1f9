//! Streams to and from containers: exec, attach and port-forward as kubectl and runtimes speak them.
//!
//! - [`spdy`]: SPDY/3.1, client and server, which runtimes and older clients speak;
//! - [`remote_command`]: the five channels of a command, over SPDY and over WebSocket;
//! - [`framing`]: several channels over one WebSocket;
//! - [`bridge`]: what a kubelet does: takes a request of either form to the runtime's URL.
//!
//! Nothing here knows of pods, or of who may do what: requests come authorized.

pub mod bridge;
mod chunks;
pub mod dial;
pub mod framing;
mod port_forward;
pub mod remote_command;
pub mod spdy;
pub mod upgrade;

pub use chunks::{ChunkReader, ChunkWriter};
