//! Cgroups of pods, which runtimes make and leave behind.

use std::path::{Path, PathBuf};

/// Where the kernel shows cgroups.
const ROOT: &str = "/sys/fs/cgroup";

/// Removes the empty cgroups of a pod, in every hierarchy.
pub(crate) async fn remove(cgroup_root: &str, uid: &str) {
    let (cgroup_root, uid) = (cgroup_root.to_owned(), uid.to_owned());
    let removed = tokio::task::spawn_blocking(move || {
        for hierarchy in hierarchies() {
            let pods = hierarchy.join(cgroup_root.trim_start_matches('/'));
            for class in ["", "burstable", "besteffort"] {
                remove_empty(&pods.join(class).join(format!("pod{uid}")));
            }
        }
    });
    if let Err(error) = removed.await {
        tracing::debug!(error = &error as &dyn std::error::Error, "cgroups stay");
    }
}

/// Each version 1 hierarchy, and the unified one.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Removes a cgroup after those below it. One that still has processes stays.
fn remove_empty(cgroup: &Path) {
    let below = std::fs::read_dir(cgroup).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_empty(&entry.path());
    }
    if cgroup.exists()
        && let Err(error) = std::fs::remove_dir(cgroup)
    {
        let path = cgroup.display();
        tracing::debug!(error = &error as &dyn std::error::Error, %path, "a cgroup stays");
    }
}
