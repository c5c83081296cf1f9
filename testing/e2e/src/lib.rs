//! What end-to-end tests share: a cluster of the real binary on the machine's own containerd, a control plane alone, and
//! stories to tell them.

pub mod cluster;
pub mod server;
pub mod story;
pub mod tools;
