//! Pods: the STATUS column that `kubectl` shows, and the health that the rules use.

pub(crate) mod column;
pub(crate) mod container;
pub(crate) mod creating;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod probe;
pub(crate) mod running;
pub(crate) mod scheduling;
