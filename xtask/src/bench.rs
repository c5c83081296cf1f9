//! `cargo xtask bench`: builds the release and measures it.

use anyhow::Result;

use crate::{images, setup, shell};

/// Builds, then runs `testing/bench` on the binary; the rows go to docs/performance.md by hand, with machine and day.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    shell::run(
        "cargo",
        &[
            "build",
            "--release",
            "--package",
            "sampan",
            "--package",
            "sampan-bench",
        ],
    )?;
    let root = shell::root();
    let images = root.join("target/images");
    images::build(&root, &images)?;
    let path = |end: &str| root.join(end).to_string_lossy().into_owned();
    let bench = path("target/release/sampan-bench");
    shell::run(
        &bench,
        &[&path("target/release/sampan"), &images.to_string_lossy()],
    )
}
