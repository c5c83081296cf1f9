//! `sampan server`: the control plane alone.

use anyhow::Result;

use crate::control_plane::{self, ControlPlane};

/// Flags of `sampan server`.
#[derive(clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    control_plane: control_plane::Flags,
}

/// Runs until a signal.
pub(crate) async fn run(flags: Flags) -> Result<()> {
    ControlPlane::start(flags.control_plane)
        .await?
        .run_to_end("sampan server")
        .await
}
