//! The README's second command, and the quick part of it.

use anyhow::Result;

use crate::{setup, shell, tidy};

/// Everything: set-up, checks, unit tests, end-to-end tests with real containers and a real kubectl.
pub(crate) fn everything() -> Result<()> {
    setup::run()?;
    let kubectl = setup::kubectl()?;
    quick()?;
    shell::run_with(
        "cargo",
        &["test", "--workspace", "--no-fail-fast"],
        &[
            ("SAMPAN_KUBECTL", &kubectl.to_string_lossy()),
            ("SAMPAN_E2E", "1"),
        ],
    )
}

/// Format, lints, tidy and the tests that need nothing installed.
pub(crate) fn check() -> Result<()> {
    quick()?;
    shell::run("cargo", &["test", "--workspace", "--exclude", "sampan-e2e"])
}

fn quick() -> Result<()> {
    tidy::run()?;
    shell::run("cargo", &["fmt", "--all", "--check"])?;
    shell::run(
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )
}
