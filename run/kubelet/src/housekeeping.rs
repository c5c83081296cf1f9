//! What fills up is looked after: large logs are put aside, pods that keep too much ended, unused images removed,
//! shortages told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use node::events::{self, Event};
use node::pressure::{self, Disk, Image, Measured};
use tracing::{info, warn};

use crate::agent::{Agent, now};
use crate::local_storage;
use crate::logs::rotate::Rotator;

/// How often logs, pods' disks and shortages are looked at.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`, `containerLogMonitorInterval`; `pkg/kubelet/kubelet.go`,
/// `evictionMonitoringPeriod`.
const EVERY: Duration = Duration::from_secs(10);
/// How many of these rounds pass between two looks at the images.
///
/// Source: `pkg/kubelet/kubelet.go`, `ImageGCPeriod`: five minutes.
const IMAGE_ROUNDS: u32 = 30;

/// Looks after everything until the agent ends.
pub(crate) async fn keep(agent: Arc<Agent>) {
    let mut images = Images::default();
    let mut logs = Rotator::default();
    let mut disk_of_images = None;
    for round in 0_u32.. {
        tokio::select! {
            () = agent.shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        logs.rotate(&agent).await;
        local_storage::enforce(&agent).await;
        if disk_of_images.is_none() {
            disk_of_images = image_directory(&agent).await;
        }
        let measured = Measured {
            memory_available_bytes: memory_available().await,
            node_disk: disk(&agent.config.data_dir),
            image_disk: disk_of_images.as_deref().and_then(disk),
        };
        let shortages = *agent.shortages.borrow();
        let seen = shortages.seen(&measured, now());
        let is_due = round % IMAGE_ROUNDS == IMAGE_ROUNDS - 1 || seen.disk == Some(now());
        agent.shortages.send_if_modified(|known| {
            let is_news = known.memory.is_some() != seen.memory.is_some()
                || known.disk.is_some() != seen.disk.is_some();
            *known = seen;
            is_news
        });
        if let (true, Some(disk)) = (is_due, measured.image_disk) {
            images.collect(&agent, disk).await;
        }
    }
}

/// The images of the node, and what has been seen of them.
#[derive(Debug, Default)]
struct Images {
    detected_at: BTreeMap<String, Timestamp>,
    used_at: BTreeMap<String, Timestamp>,
}

impl Images {
    /// Removes what nobody needs, if there is too much of it.
    async fn collect(&mut self, agent: &Agent, disk: Disk) {
        let (images, containers) = tokio::join!(
            agent.runtime.list_images(),
            agent.runtime.list_containers(None)
        );
        let (Ok(images), Ok(containers)) = (images, containers) else {
            return;
        };
        let now = now();
        let in_use: BTreeSet<String> = containers.into_iter().map(|one| one.image_ref).collect();
        let is_there = |id: &String| images.iter().any(|image| image.id == *id);
        self.detected_at.retain(|id, _| is_there(id));
        self.used_at.retain(|id, _| is_there(id));
        for id in &in_use {
            self.used_at.insert(id.clone(), now);
        }
        let known = images.iter().map(|image| Image {
            id: image.id.clone(),
            bytes: image.size,
            is_pinned: is_kept(&agent.config.sandbox_image, image),
            detected_at: *self.detected_at.entry(image.id.clone()).or_insert(now),
            used_at: self.used_at.get(&image.id).copied(),
        });
        let known: Vec<Image> = known.collect();
        for id in pressure::images_to_remove(&known, &in_use, disk, now) {
            match agent.runtime.remove_image(&id).await {
                Ok(()) => info!(image = id, "unused image removed to make room"),
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        image = id,
                        "cannot remove an image"
                    );
                    let message = format!("Failed to remove image {id}: {error}");
                    agent.record_node(Event::warning(events::IMAGE_GC_FAILED, message));
                }
            }
        }
    }
}

/// Whether an image must stay: the one that sandboxes are made from, and those that no registry can give again.
// DIFFERS: upstream removes images that were imported from archives, too, and nobody can pull them.
fn is_kept(sandbox_image: &str, image: &cri::v1::Image) -> bool {
    let is_sandbox = image.repo_tags.iter().any(|tag| tag == sandbox_image);
    image.pinned || is_sandbox || image.repo_digests.is_empty()
}

/// A directory on the file system of the images.
async fn image_directory(agent: &Agent) -> Option<PathBuf> {
    let info = agent.runtime.image_fs_info().await.ok()?;
    let first = info.image_filesystems.into_iter().next()?;
    Some(PathBuf::from(first.fs_id?.mountpoint))
}

fn disk(path: &Path) -> Option<Disk> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Disk {
        used_bytes: stat
            .f_blocks
            .saturating_sub(stat.f_bfree)
            .saturating_mul(stat.f_frsize),
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        inodes_free: stat.f_favail,
    })
}

async fn memory_available() -> Option<u64> {
    let text = tokio::fs::read_to_string("/proc/meminfo").await.ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_cannot_be_pulled_again_stay() {
        let image = |tag: &str, digests: &[&str]| cri::v1::Image {
            repo_tags: vec![tag.to_owned()],
            repo_digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
            ..cri::v1::Image::default()
        };
        assert!(is_kept("pause:1", &image("pause:1", &["pause@sha256:1"])));
        assert!(is_kept("pause:1", &image("imported:1", &[])));
        assert!(!is_kept("pause:1", &image("web:1", &["web@sha256:1"])));
    }
}
