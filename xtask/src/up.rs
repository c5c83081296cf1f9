//! The README's first command: from a fresh clone to a running cluster.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{images, setup, shell};

/// Installs, builds and runs; `args` go to `sampan up`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    // Said now, not after minutes of building.
    let is_root = shell::output("id", &["-u"]).is_none_or(|id| id.trim() == "0");
    ensure!(
        is_root,
        "running containers needs root: run the command with sudo, or `cargo run --release -p sampan -- server` \
         for a control plane without a node"
    );
    setup::run()?;
    shell::run("cargo", &["build", "--release", "--package", "sampan"])?;
    let binary = shell::root().join("target/release/sampan");
    let images = shell::root().join("target/images");
    images::build(&shell::root(), &images)?;
    let kubectl = setup::kubectl()?;
    if let Some(directory) = kubectl.parent().filter(|directory| directory.is_absolute()) {
        eprintln!(
            "kubectl is in {0}: export PATH={0}:$PATH",
            directory.display()
        );
    }
    // In our place, so that Ctrl-C reaches it alone and the shell waits for its end.
    let failed = Command::new(&binary)
        .args(["up", "--images"])
        .arg(&images)
        .args(args)
        .exec();
    Err(failed).with_context(|| format!("cannot run {}", binary.display()))
}
