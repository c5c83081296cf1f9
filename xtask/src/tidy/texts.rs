//! Documents that must be true for the tree: the code map, the list of differences, the reasons for dependencies.

use serde_json::Value;

use super::Tree;

/// Longest ARCHITECTURE.md, in lines.
const ARCHITECTURE_LINES_MAX: usize = 300;

/// Complaints about documents.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let architecture = tree.text("ARCHITECTURE.md");
    if architecture.lines().count() > ARCHITECTURE_LINES_MAX {
        complaints.push(format!(
            "ARCHITECTURE.md: longer than {ARCHITECTURE_LINES_MAX} lines"
        ));
    }
    for folder in crate_folders(metadata) {
        if !architecture.contains(&format!("`{folder}`")) {
            complaints.push(format!("ARCHITECTURE.md: does not name `{folder}`"));
        }
    }
    let differences = tree.text("docs/compatibility.md");
    for (path, content) in tree.rust() {
        let shown = path.display().to_string();
        let differs = content.lines().any(|line| line.contains("// DIFFERS:"));
        if differs && !shown.starts_with("xtask/") && !differences.contains(&shown) {
            complaints.push(format!(
                "docs/compatibility.md: does not list the difference marked in {shown}"
            ));
        }
    }
    let reasons = tree.text("docs/dependencies.md");
    for dependency in dependencies(tree.text("Cargo.toml")) {
        if !reasons.contains(&format!("`{dependency}`")) {
            complaints.push(format!(
                "docs/dependencies.md: gives no reason for `{dependency}`"
            ));
        }
    }
    complaints
}

fn crate_folders(metadata: &Value) -> Vec<String> {
    let root = metadata
        .pointer("/workspace_root")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let manifests = packages
        .iter()
        .filter_map(|package| package.get("manifest_path")?.as_str()?.strip_prefix(root));
    manifests
        .map(|path| {
            path.trim_start_matches('/')
                .trim_end_matches("/Cargo.toml")
                .to_owned()
        })
        .collect()
}

/// Names of the third-party crates in `[workspace.dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let lines = section
        .lines()
        .filter(|line| !line.starts_with('#') && !line.contains("path = "));
    lines
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.trim()))
        .collect()
}
