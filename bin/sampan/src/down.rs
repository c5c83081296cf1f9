//! `sampan down`: the end of a node, but for its data.

use anyhow::{Context, Result};
use containerd::Layout;
use dataplane::Instance;

use crate::DataDir;

/// Stops all pods and containerd, and removes bridge, mounts and cgroups.
pub(crate) async fn run(data: &DataDir) -> Result<()> {
    let path = data.path()?;
    let instance = Instance::of(&path)
        .with_context(|| format!("no cluster has its data in {}", path.display()))?;
    store::check_unowned(&path.join("store"))?;
    containerd::teardown(&Layout::new(instance)).await?;
    Ok(())
}
