//! `sampan up`: control plane and node on this machine.

use anyhow::Result;

use crate::control_plane::{self, ControlPlane};
use crate::node;

/// Flags of `sampan up`.
#[derive(clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    control_plane: control_plane::Flags,
    #[command(flatten)]
    node: node::Flags,
}

/// Runs until a signal; containers stay.
pub(crate) async fn run(flags: Flags) -> Result<()> {
    node::check(flags.control_plane.data(), &flags.node)?;
    let mut plane = ControlPlane::start(flags.control_plane).await?;
    node::start(&mut plane, flags.node).await?;
    plane.run_to_end("sampan").await
}
