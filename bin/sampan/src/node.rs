//! The node of `sampan up`: network, containerd, kubelet.

use anyhow::{Context, Result};
use containerd::Layout;
use dataplane::Instance;

use crate::control_plane::{self, ControlPlane};

/// Flags of the node.
#[derive(clap::Args)]
#[group(id = "node")]
pub(crate) struct Flags {
    /// Name of the node [default: the machine's host name].
    #[arg(long)]
    node_name: Option<String>,
}

/// Refuses, before anything is started, a machine that cannot run containers.
pub(crate) fn check(_flags: &control_plane::Flags) -> Result<()> {
    Ok(())
}

/// Starts the node agent.
pub(crate) async fn start(plane: &mut ControlPlane, flags: Flags) -> Result<()> {
    let instance = Instance::of(&plane.data_dir).context("cannot use the data directory")?;
    let ready = containerd::ensure(&Layout::new(instance)).await?;
    tracing::info!(node = flags.node_name, subnet = ?ready.network, "the runtime is ready");
    Ok(())
}
