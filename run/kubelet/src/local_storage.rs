//! Pods that keep more on the node's disk than they may are ended, as `decide/node` says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cri::v1::ContainerStatsFilter;
use k8s_openapi::api::core::v1::Pod;
use node::admission::is_over;
use node::local_storage::{self, Usage};
use node::names;
use tracing::{debug, info};

use crate::agent::Agent;
use crate::volumes;

/// Size of the blocks in which the kernel counts, in bytes. Source: stat(2).
const BLOCK_BYTES: u64 = 512;

/// Measures the pods that have limits, and ends those that exceed one.
pub(crate) async fn enforce(agent: &Agent) {
    for pod in agent.pods.list() {
        let meta = &pod.metadata;
        let is_ending = meta.deletion_timestamp.is_some() || is_over(&pod);
        if is_ending || !local_storage::is_limited(&pod) {
            continue;
        }
        let Some(usage) = measured(agent, &pod).await else {
            continue;
        };
        if let Some(excess) = local_storage::excess(&pod, &usage) {
            let uid = meta.uid.as_deref().unwrap_or_default();
            if agent.pods.evict(uid, &excess.message) {
                let (namespace, name) = (&meta.namespace, &meta.name);
                info!(
                    namespace,
                    name,
                    uid,
                    limit = excess.signal,
                    "pod is evicted"
                );
                agent.metrics.evicted(excess.signal);
            }
        }
    }
}

/// What a pod has on disk; `None` when the runtime does not say.
async fn measured(agent: &Agent, pod: &Pod) -> Option<Usage> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let filter = ContainerStatsFilter {
        label_selector: [(names::POD_UID.to_owned(), uid.to_owned())].into(),
        ..ContainerStatsFilter::default()
    };
    let stats = match agent.runtime.list_container_stats(Some(filter)).await {
        Ok(stats) => stats,
        Err(error) => {
            debug!(
                error = &error as &dyn std::error::Error,
                "cannot measure a pod"
            );
            return None;
        }
    };
    let mut layers = BTreeMap::new();
    for one in stats {
        let used = one.writable_layer.and_then(|layer| layer.used_bytes);
        let labels = one.attributes.unwrap_or_default().labels;
        if let Some(name) = labels.get(names::CONTAINER_NAME) {
            // An instance that has ended may still be told of, beside the one that runs.
            let known: &mut u64 = layers.entry(name.clone()).or_default();
            *known = (*known).max(used.map_or(0, |used| used.value));
        }
    }
    let places = Places::of(agent, pod, uid);
    let measuring = tokio::task::spawn_blocking(move || places.measure(layers));
    measuring.await.ok()
}

/// Where the things of a pod lie.
struct Places {
    volumes: BTreeMap<String, PathBuf>,
    logs: PathBuf,
    hosts: PathBuf,
}

impl Places {
    fn of(agent: &Agent, pod: &Pod, uid: &str) -> Self {
        let spec = pod.spec.iter();
        let volumes = spec.flat_map(|spec| spec.volumes.iter().flatten());
        let path = |kind: &str, name: &str| volumes::path(&agent.config, uid, kind, name);
        let counted = volumes.filter_map(|one| {
            let kind = local_storage::counted(one)?;
            Some((one.name.clone(), path(kind, &one.name)))
        });
        let text = |field: &'_ Option<String>| field.clone().unwrap_or_default();
        let (namespace, name) = (text(&pod.metadata.namespace), text(&pod.metadata.name));
        let logs = names::pod_log_directory(&namespace, &name, uid);
        Self {
            volumes: counted.collect(),
            logs: agent.config.logs_dir.join(logs),
            hosts: agent.config.pod_dir(uid).join("etc-hosts"),
        }
    }

    /// Adds the logs to what containers wrote elsewhere.
    fn measure(&self, mut containers: BTreeMap<String, u64>) -> Usage {
        for entry in fs::read_dir(&self.logs).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            *containers.entry(name).or_default() += disk_usage(&entry.path());
        }
        let volumes = self.volumes.iter();
        let volumes = volumes.map(|(name, path)| (name.clone(), disk_usage(path)));
        Usage {
            volumes: volumes.collect(),
            containers,
            other: disk_usage(&self.hosts),
        }
    }
}

/// The blocks below a path, in bytes: each file once, whatever its names, and nothing of other file systems.
///
/// What goes away meanwhile does not count. Source: `pkg/volume/util/fs/fs.go`, `DiskUsage`.
fn disk_usage(path: &Path) -> u64 {
    let Ok(top) = fs::symlink_metadata(path) else {
        return 0;
    };
    let mut seen = BTreeSet::new();
    let mut bytes = 0_u64;
    let mut left = vec![(path.to_owned(), top.dev(), top)];
    while let Some((path, device, data)) = left.pop() {
        if data.dev() != device || data.nlink() > 1 && !data.is_dir() && !seen.insert(data.ino()) {
            continue;
        }
        bytes = bytes.saturating_add(data.blocks().saturating_mul(BLOCK_BYTES));
        if data.is_dir() {
            let below = entries(&path).unwrap_or_default();
            left.extend(below.into_iter().map(|(path, data)| (path, device, data)));
        }
    }
    bytes
}

fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let entries = fs::read_dir(directory)?.flatten();
    let known = entries.filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)));
    Ok(known.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_once_by_their_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("below");
        fs::create_dir(&below).unwrap();
        let empty = disk_usage(directory.path());
        fs::write(below.join("a"), vec![1; 1 << 16]).unwrap();
        fs::hard_link(below.join("a"), directory.path().join("b")).unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("c")).unwrap();
        let used = disk_usage(directory.path()) - empty;
        assert!((1 << 16..2 << 16).contains(&used), "{used}");
        assert_eq!(disk_usage(&directory.path().join("missing")), 0);
    }
}
