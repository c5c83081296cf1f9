//! What tests are given: upstream's own kubectl and Helm, which `cargo xtask setup` fetches, and numbers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// Where cargo puts what it builds, and tests what they install.
pub fn target() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}

/// The path of `kubectl` or `helm`.
///
/// # Errors
/// It was not fetched.
pub fn path(tool: &str) -> Result<PathBuf> {
    let path = directory().join(tool);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask setup`",
        path.display()
    );
    Ok(path.canonicalize()?)
}

/// A search path on which scripts find them first.
///
/// # Errors
/// They were not fetched, or the search path cannot be read.
pub fn search_path() -> Result<OsString> {
    let kubectl = path("kubectl")?;
    let ours = kubectl.parent().context("a file is in a directory")?;
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(ours.to_owned()).chain(std::env::split_paths(&inherited));
    Ok(std::env::join_paths(all)?)
}

/// A number that a variable of the environment names; `default` where there is none.
pub fn argument(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn directory() -> PathBuf {
    target().join("tools/upstream")
}
