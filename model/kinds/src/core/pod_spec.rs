//! What every kind with a pod template shares.

mod defaults;
mod image;
mod qos;
pub(crate) mod validate;
pub(crate) mod warnings;

pub(crate) use defaults::{default_pod, rule};
pub(crate) use qos::qos_class;
