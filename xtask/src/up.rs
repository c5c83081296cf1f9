//! The README's first command: from a fresh clone to a running cluster.

use anyhow::Result;

use crate::{images, setup, shell};

/// Installs, builds and runs; `args` go to `sampan up`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::run()?;
    shell::run("cargo", &["build", "--release", "--package", "sampan"])?;
    let binary = shell::root().join("target/release/sampan");
    let images = shell::root().join("target/images");
    images::build(&shell::root(), &images)?;
    let images = images.to_string_lossy();
    let mut all = vec!["up", "--images", &images];
    all.extend(args.iter().map(String::as_str));
    shell::run(&binary.to_string_lossy(), &all)
}
