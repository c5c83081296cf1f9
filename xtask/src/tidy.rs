//! The project's own rules, checked on every CI run. Each rule is a function from the tree to its complaints.

mod layers;
mod sources;
mod texts;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

/// The tracked files of the workspace, relative to its root, with their content when they are text.
pub(crate) struct Tree {
    files: Vec<(PathBuf, String)>,
}

impl Tree {
    fn read() -> Result<Self> {
        let root = shell::root();
        let listed = shell::output("git", &["ls-files", "-co", "--exclude-standard"])
            .context("cannot list the files: is git installed?")?;
        let paths = listed
            .lines()
            .map(PathBuf::from)
            .filter(|path| root.join(path).is_file());
        let files = paths.filter_map(|path| {
            let content = std::fs::read_to_string(root.join(&path)).ok()?;
            Some((path, content))
        });
        Ok(Self {
            files: files.collect(),
        })
    }

    fn rust(&self) -> impl Iterator<Item = (&Path, &str)> {
        let rust = self
            .files
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "rs"));
        rust.map(|(path, content)| (path.as_path(), content.as_str()))
    }

    fn text(&self, path: &str) -> &str {
        self.files
            .iter()
            .find(|(known, _)| known == Path::new(path))
            .map_or("", |(_, content)| content)
    }

    fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|(known, _)| known == path)
    }
}

/// Checks every rule and prints every complaint.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read()?;
    let metadata = shell::output("cargo", &["metadata", "--no-deps", "--format-version", "1"])
        .context("cannot read the workspace: does `cargo metadata` work?")?;
    let metadata =
        serde_json::from_str(&metadata).context("cannot read what `cargo metadata` printed")?;
    let mut complaints = layers::check(&metadata);
    complaints.extend(sources::check(&tree));
    complaints.extend(texts::check(&tree, &metadata));
    complaints.sort();
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("tidy found {} things to mend", complaints.len());
    }
    Ok(())
}
