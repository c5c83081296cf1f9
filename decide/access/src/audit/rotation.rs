//! Which files of an audit log there are, by their names: the one that is written and its backups.
//!
//! Source: lumberjack.v2, with which upstream writes its log.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// When a log begins a new file, and which old ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Largest file, in bytes; 0 never begins a new one. Source: `--audit-log-maxsize`.
    pub bytes_max: u64,
    /// Most backups; 0 keeps all. Source: `--audit-log-maxbackup`.
    pub backups_max: usize,
    /// Oldest backup, in days; 0 keeps all. Source: `--audit-log-maxage`.
    pub days_max: i64,
}

/// The time in a backup's name.
const TIME: &str = "%Y-%m-%dT%H-%M-%S.%3f";

/// The name of a backup that is made now: `audit-2006-01-02T15-04-05.000.log` of `audit.log`.
pub fn backup_name(file: &str, now: Timestamp) -> String {
    let (stem, extension) = split(file);
    format!("{stem}-{}{extension}", now.strftime(TIME))
}

/// The backups among a directory's files that are not kept.
pub fn surplus<'a>(
    file: &str,
    names: impl IntoIterator<Item = &'a str>,
    rotation: &Rotation,
    now: Timestamp,
) -> Vec<&'a str> {
    let dated = names.into_iter();
    let dated = dated.filter_map(|name| Some((time_of(file, name)?, name)));
    let mut dated: Vec<(Timestamp, &str)> = dated.collect();
    dated.sort_unstable_by(|one, other| other.cmp(one));
    let oldest = now
        .checked_sub(SignedDuration::from_hours(24 * rotation.days_max))
        .unwrap_or(Timestamp::MIN);
    let is_surplus = |index: usize, made: Timestamp| {
        (rotation.backups_max > 0 && index >= rotation.backups_max)
            || (rotation.days_max > 0 && made < oldest)
    };
    let dated = dated.into_iter().enumerate();
    dated
        .filter(|(index, (made, _))| is_surplus(*index, *made))
        .map(|(_, (_, name))| name)
        .collect()
}

/// When a backup was made; `None` of a file that is none.
fn time_of(file: &str, name: &str) -> Option<Timestamp> {
    let (stem, extension) = split(file);
    let time = name.strip_prefix(stem)?.strip_prefix('-')?;
    let time = DateTime::strptime("%Y-%m-%dT%H-%M-%S%.f", time.strip_suffix(extension)?).ok()?;
    time.to_zoned(TimeZone::UTC)
        .ok()
        .map(|time| time.timestamp())
}

/// A name up to its extension, and that with its dot.
fn split(file: &str) -> (&str, &str) {
    file.rfind('.').map_or((file, ""), |at| file.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROTATION: Rotation = Rotation {
        bytes_max: 0,
        backups_max: 2,
        days_max: 3,
    };

    fn now() -> Timestamp {
        "2026-11-28T10:20:30.0405Z".parse().unwrap()
    }

    #[test]
    fn a_backup_is_named_after_the_time_in_utc() {
        assert_eq!(
            backup_name("audit.log", now()),
            "audit-2026-11-28T10-20-30.040.log"
        );
        assert_eq!(backup_name("audit", now()), "audit-2026-11-28T10-20-30.040");
    }

    #[test]
    fn the_newest_backups_are_kept_unless_they_are_too_old() {
        let names = [
            "audit.log",
            "audit-2026-11-28T10-20-30.040.log",
            "audit-2026-11-27T10-20-30.040.log",
            "audit-2026-11-26T10-20-30.040.log",
            "audit-2026-11-01T10-20-30.040.log",
            "audit-of-mine.log",
            "other-2026-11-01T10-20-30.040.log",
        ];
        let surplus = |rotation: &Rotation| surplus("audit.log", names, rotation, now());
        assert_eq!(surplus(&ROTATION), [names[3], names[4]]);
        let by_age = Rotation {
            backups_max: 0,
            ..ROTATION
        };
        assert_eq!(surplus(&by_age), [names[4]]);
        let all = Rotation {
            days_max: 0,
            ..by_age
        };
        assert!(surplus(&all).is_empty());
    }
}
