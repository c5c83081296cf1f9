//! The README's second command, and the quick part of it.

use anyhow::Result;

use crate::{fuzz, setup, shell, tidy};

/// Seconds that each fuzz target gets among the tests; `cargo xtask fuzz` gives them more.
const FUZZ_SECONDS: &str = "5";

/// Everything: set-up, checks, unit tests, end-to-end tests with real containers, kubectl and Helm.
pub(crate) fn everything() -> Result<()> {
    setup::test()?;
    quick()?;
    // The first pass leaves the binary that the end-to-end tests of the second one drive.
    shell::run("cargo", &["test", "--workspace", "--no-run"])?;
    let binary = shell::target().join("debug/sampan");
    shell::run_with(
        "cargo",
        &["test", "--workspace", "--no-fail-fast"],
        &[("SAMPAN_BINARY", &binary.to_string_lossy())],
    )?;
    fuzz::run(&["all".to_owned(), FUZZ_SECONDS.to_owned()])
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
