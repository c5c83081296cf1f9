//! Upstream's own kubectl and Helm, of the release whose API is served; `cargo xtask setup` fetches them.

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

fn directory() -> PathBuf {
    target().join("tools/upstream")
}
