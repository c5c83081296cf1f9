//! The README's second command, and the quick part of it.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{fuzz, setup, shell, tidy};

/// Seconds that each fuzz target gets among the tests; `cargo xtask fuzz` gives them more.
const FUZZ_SECONDS: &str = "5";

/// Everything: set-up, checks, unit tests, end-to-end tests with real containers and a real kubectl.
pub(crate) fn everything() -> Result<()> {
    setup::test()?;
    let path = path_with(&setup::kubectl(setup::KUBECTL_MINOR_MAX)?)?;
    quick()?;
    // The first pass leaves the binary that the end-to-end tests of the second one drive.
    shell::run("cargo", &["test", "--workspace", "--no-run"])?;
    let binary = shell::target().join("debug/sampan");
    shell::run_with(
        "cargo",
        &["test", "--workspace", "--no-fail-fast"],
        &[
            ("PATH", &path),
            ("SAMPAN_BINARY", &binary.to_string_lossy()),
        ],
    )?;
    fuzz::run(&["all".to_owned(), FUZZ_SECONDS.to_owned()])
}

/// The search path on which `kubectl` is the one that is new enough.
fn path_with(kubectl: &Path) -> Result<String> {
    let path = std::env::var("PATH").context("PATH is not set")?;
    match kubectl.parent().filter(|directory| directory.is_absolute()) {
        Some(directory) => Ok(format!("{}:{path}", directory.display())),
        None => Ok(path),
    }
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
