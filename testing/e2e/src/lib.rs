//! What end-to-end tests share: a cluster of the real binary on the machine's own containerd.

pub mod cluster;
