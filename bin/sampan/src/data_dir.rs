//! Where a cluster's data lie.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::fs::Access;

use crate::DataDir;

impl DataDir {
    /// The directory, made when it is not there.
    pub(crate) fn open(&self) -> Result<PathBuf> {
        let directory = self.path()?;
        let refused = || {
            format!(
                "cannot keep data in {}: choose another directory with --data-dir",
                directory.display()
            )
        };
        let mut builder = std::fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .with_context(refused)?;
        let wanted = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(&directory, wanted).with_context(refused)?;
        Ok(directory)
    }

    /// The directory, whether it is there or not.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        if let Some(given) = &self.data_dir {
            return Ok(given.clone());
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/sampan"));
        }
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let base = state
            .or(home)
            .context("cannot tell where data belong: set HOME or give --data-dir")?;
        Ok(base.join("sampan"))
    }
}
