//! When the node is short of something, and which images go to make room.
//!
//! Source: `pkg/kubelet/eviction` (thresholds), `pkg/kubelet/images/image_gc_manager.go`.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// Memory is short below this, in bytes. Source: default `memory.available<100Mi`.
const MEMORY_BYTES_MIN: u64 = 100 << 20;
/// The agent's disk is short below this share. Source: default `nodefs.available<10%`.
const NODE_DISK_PERCENT_MIN: u64 = 10;
/// The images' disk is short below this share. Source: default `imagefs.available<15%`.
const IMAGE_DISK_PERCENT_MIN: u64 = 15;
/// A disk is short below this share of its inodes. Source: defaults `nodefs.inodesFree<5%`, `imagefs.inodesFree<5%`.
const INODES_PERCENT_MIN: u64 = 5;
/// How long a shortage is told after it is over, in seconds. Source: default `evictionPressureTransitionPeriod`.
const TOLD_SECONDS: i64 = 300;
/// Images are removed from this use of their disk on. Source: default `imageGCHighThresholdPercent`.
const IMAGES_PERCENT_HIGH: u64 = 85;
/// Images are removed until the use is down to this. Source: default `imageGCLowThresholdPercent`.
const IMAGES_PERCENT_LOW: u64 = 80;
/// Age below which no image is removed, in seconds. Source: default `imageMinimumGCAge`.
const IMAGE_AGE_SECONDS_MIN: i64 = 120;

/// What is left of a file system for those who are not root.
// DIFFERS: blocks that only root may use count neither as there nor as used; upstream counts them as used, so that
// a large reserve alone makes a node look short of disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that may still be used.
    pub available_bytes: u64,
    /// All inodes; 0 where the file system does not count them.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
}

impl Disk {
    fn size_bytes(self) -> u64 {
        self.used_bytes.saturating_add(self.available_bytes)
    }

    fn is_short(self, percent_min: u64) -> bool {
        is_below(self.available_bytes, self.size_bytes(), percent_min)
            || is_below(self.inodes_free, self.inodes, INODES_PERCENT_MIN)
    }
}

/// Whether a part is below a share of the whole; of nothing, nothing is short.
fn is_below(part: u64, whole: u64, percent: u64) -> bool {
    u128::from(part) * 100 < u128::from(whole) * u128::from(percent)
}

/// What was measured. Nothing is said of what could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Memory that can be had without swapping, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// The disk with the pods' volumes and logs.
    pub node_disk: Option<Disk>,
    /// The disk with images and containers.
    pub image_disk: Option<Disk>,
}

/// When each shortage was last seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortages {
    /// Of memory.
    pub memory: Option<Timestamp>,
    /// Of disk.
    pub disk: Option<Timestamp>,
}

impl Shortages {
    /// Brings the times up to date with what was measured now.
    #[must_use]
    pub fn seen(self, measured: &Measured, now: Timestamp) -> Self {
        let is_memory = measured
            .memory_available_bytes
            .is_some_and(|bytes| bytes < MEMORY_BYTES_MIN);
        let is_short =
            |disk: Option<Disk>, percent| disk.is_some_and(|disk| disk.is_short(percent));
        let is_disk = is_short(measured.node_disk, NODE_DISK_PERCENT_MIN)
            || is_short(measured.image_disk, IMAGE_DISK_PERCENT_MIN);
        let still = |last: Option<Timestamp>, is_now: bool| {
            let is_told = |at: &Timestamp| now.duration_since(*at).as_secs() < TOLD_SECONDS;
            if is_now {
                Some(now)
            } else {
                last.filter(is_told)
            }
        };
        Self {
            memory: still(self.memory, is_memory),
            disk: still(self.disk, is_disk),
        }
    }
}

/// An image as the collector knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The runtime's id.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it must stay whatever happens.
    pub is_pinned: bool,
    /// When it was first seen.
    pub detected_at: Timestamp,
    /// When a container last used it; `None` if none did.
    pub used_at: Option<Timestamp>,
}

/// The images to remove: those unused for longest, until enough of the disk is free.
///
/// `in_use` holds the ids of images that containers are made from.
pub fn images_to_remove(
    images: &[Image],
    in_use: &BTreeSet<String>,
    disk: Disk,
    now: Timestamp,
) -> Vec<String> {
    let size = disk.size_bytes();
    if is_below(disk.used_bytes, size, IMAGES_PERCENT_HIGH) || size == 0 {
        return Vec::new();
    }
    let target = size / 100 * IMAGES_PERCENT_LOW;
    let mut excess = disk.used_bytes.saturating_sub(target);
    let is_old = |image: &&Image| {
        now.duration_since(image.detected_at) >= SignedDuration::from_secs(IMAGE_AGE_SECONDS_MIN)
    };
    let is_free = |image: &&Image| !image.is_pinned && !in_use.contains(&image.id);
    let mut candidates: Vec<&Image> = images.iter().filter(is_free).filter(is_old).collect();
    candidates.sort_by_key(|image| (image.used_at, image.detected_at, &image.id));
    let mut gone = Vec::new();
    for image in candidates {
        if excess == 0 {
            break;
        }
        excess = excess.saturating_sub(image.bytes);
        gone.push(image.id.clone());
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::back_off::later;

    const GIB: u64 = 1 << 30;

    fn disk(available: u64) -> Disk {
        Disk {
            used_bytes: (100 - available) * GIB,
            available_bytes: available * GIB,
            ..Disk::default()
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    #[test]
    fn a_shortage_is_told_for_five_minutes_after_it_is_over() {
        let short = Measured {
            node_disk: Some(disk(9)),
            memory_available_bytes: Some(GIB),
            ..Measured::default()
        };
        let seen = Shortages::default().seen(&short, now());
        assert_eq!((seen.disk, seen.memory), (Some(now()), None));
        let good = Measured {
            node_disk: Some(disk(10)),
            image_disk: Some(disk(15)),
            ..Measured::default()
        };
        let seen = seen.seen(&good, later(now(), 299));
        assert_eq!(seen.disk, Some(now()));
        assert_eq!(seen.seen(&good, later(now(), 300)).disk, None);
    }

    #[test]
    fn memory_inodes_and_the_disk_of_images_have_thresholds_of_their_own() {
        let memory = Measured {
            memory_available_bytes: Some((100 << 20) - 1),
            ..Measured::default()
        };
        assert!(Shortages::default().seen(&memory, now()).memory.is_some());
        let images = Measured {
            image_disk: Some(disk(14)),
            ..Measured::default()
        };
        assert!(Shortages::default().seen(&images, now()).disk.is_some());
        let inodes = Disk {
            inodes: 100,
            inodes_free: 4,
            ..disk(90)
        };
        let inodes = Measured {
            node_disk: Some(inodes),
            ..Measured::default()
        };
        assert!(Shortages::default().seen(&inodes, now()).disk.is_some());
    }

    fn image(id: &str, gib: u64, used_ago: Option<i64>) -> Image {
        Image {
            id: id.to_owned(),
            bytes: gib * GIB,
            is_pinned: false,
            detected_at: later(now(), -1000),
            used_at: used_ago.map(|seconds| later(now(), -seconds)),
        }
    }

    #[test]
    fn the_images_unused_for_longest_go_until_the_low_threshold() {
        let images = [
            image("busy", 9, Some(900)),
            image("recent", 9, Some(10)),
            image("old", 4, Some(500)),
            image("never", 3, None),
            Image {
                is_pinned: true,
                ..image("pinned", 9, None)
            },
            Image {
                detected_at: later(now(), -100),
                ..image("new", 9, None)
            },
        ];
        let in_use = ["busy".to_owned()].into();
        let gone = |available| images_to_remove(&images, &in_use, disk(available), now());
        assert_eq!(gone(16), Vec::<String>::new());
        assert_eq!(gone(15), ["never", "old"]);
        assert_eq!(gone(5), ["never", "old", "recent"]);
    }
}
