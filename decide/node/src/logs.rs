//! When a container's log is put aside, and which of the old ones stay.
//!
//! Source: `pkg/kubelet/logs/container_log_manager.go`.

use jiff::Timestamp;

/// Size from which a log is put aside, in bytes.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`, `containerLogMaxSize`.
pub const BYTES_MAX: u64 = 10 << 20;
/// Most files per container, the one being written included.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`, `containerLogMaxFiles`.
pub const FILES_MAX: usize = 5;
/// End of the names of old logs that were compressed.
pub const COMPRESSED: &str = ".gz";
/// End of the names of files that were being made.
pub const UNFINISHED: &str = ".tmp";

/// What to do with the old logs of one container before its log is put aside, and how to name that one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Files to remove.
    pub remove: Vec<String>,
    /// Files to compress, each to its name with `.gz`.
    pub compress: Vec<String>,
    /// The new name of the log.
    pub rename: String,
}

/// Plans the rotation of the log `name`, given the names of the files beside it.
pub fn rotation(name: &str, beside: &[String], now: Timestamp) -> Rotation {
    let prefix = format!("{name}.");
    let own = beside.iter().filter(|file| file.starts_with(&prefix));
    let (unfinished, mut old): (Vec<&String>, Vec<&String>) =
        own.partition(|file| file.ends_with(UNFINISHED));
    let mut remove: Vec<String> = unfinished.into_iter().cloned().collect();
    // The time in the names makes the order of names the order of age.
    old.sort();
    // The log being written and the one put aside now count, too.
    let excess = old.len().saturating_sub(FILES_MAX - 2);
    let (gone, kept) = old.split_at(excess);
    remove.extend(gone.iter().map(|file| (*file).clone()));
    let is_plain = |file: &&&String| !file.ends_with(COMPRESSED);
    Rotation {
        remove,
        compress: kept
            .iter()
            .filter(is_plain)
            .map(|file| (*file).clone())
            .collect(),
        rename: format!("{prefix}{}", now.strftime("%Y%m%d-%H%M%S")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_old_logs_stay_and_are_compressed() {
        let beside = [
            "0.log",
            "0.log.20261121-000001.gz",
            "0.log.20261121-000004",
            "0.log.20261121-000002.gz",
            "0.log.20261121-000003.gz",
            "0.log.20261121-000003.gz.tmp",
            "1.log.20261121-000003",
        ]
        .map(str::to_owned);
        let now = "2026-11-21T00:00:05Z".parse().unwrap();
        let expected = Rotation {
            remove: vec![
                "0.log.20261121-000003.gz.tmp".to_owned(),
                "0.log.20261121-000001.gz".to_owned(),
            ],
            compress: vec!["0.log.20261121-000004".to_owned()],
            rename: "0.log.20261121-000005".to_owned(),
        };
        assert_eq!(rotation("0.log", &beside, now), expected);
    }
}
