//! Schedules of five fields, as `robfig/cron` reads them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Days looked at before a schedule counts as one that never comes. Source: robfig's five years.
const DAYS_MAX: usize = 5 * 366;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A set of small numbers, and whether it was written as a star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    bits: u64,
    is_star: bool,
}

impl Field {
    fn has(self, value: i8) -> bool {
        u32::try_from(value).is_ok_and(|value| self.bits & (1_u64 << value.min(63)) != 0)
    }
}

/// When to run.
#[derive(Clone, Debug)]
pub struct Schedule<'a> {
    times: Times,
    zone: &'a TimeZone,
}

#[derive(Clone, Copy, Debug)]
enum Times {
    Fields {
        minute: Field,
        hour: Field,
        day: Field,
        month: Field,
        weekday: Field,
    },
    Every(SignedDuration),
}

impl<'a> Schedule<'a> {
    /// Reads five fields, or one of the words beginning with `@`.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub fn parse(text: &str, zone: &'a TimeZone) -> Result<Self, String> {
        let text = text.trim();
        if let Some(every) = text.strip_prefix("@every ") {
            let every: SignedDuration = every
                .trim()
                .parse()
                .map_err(|_| format!("failed to parse duration {text}"))?;
            let whole = SignedDuration::from_secs(every.as_secs().max(1));
            return Ok(Self {
                times: Times::Every(whole),
                zone,
            });
        }
        let fields = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            _ if text.starts_with('@') => return Err(format!("unrecognized descriptor: {text}")),
            _ => text,
        };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(format!(
                "expected exactly 5 fields, found {}: [{text}]",
                fields.len()
            ));
        };
        let times = Times::Fields {
            minute: field(minute, 0, 59, &[])?,
            hour: field(hour, 0, 23, &[])?,
            day: field(day, 1, 31, &[])?,
            month: field(month, 1, 12, &MONTHS)?,
            weekday: field(weekday, 0, 6, &DAYS)?,
        };
        Ok(Self { times, zone })
    }

    /// The first time after `from`; `None` when there is none in five years.
    pub fn next(&self, from: Timestamp) -> Option<Timestamp> {
        let (minute, hour) = match self.times {
            Times::Every(every) => return from.checked_add(every).ok(),
            Times::Fields { minute, hour, .. } => (minute, hour),
        };
        let start = from.to_zoned(self.zone.clone()).datetime();
        let mut date = start.date();
        for at in 0..DAYS_MAX {
            if self.has_day(date) {
                let first = if at == 0 { start.time().hour() } else { 0 };
                for h in (first..24).filter(|h| hour.has(*h)) {
                    for m in (0..60).filter(|m| minute.has(*m)) {
                        let found = self.timestamp(date, h, m).filter(|time| *time > from);
                        if found.is_some() {
                            return found;
                        }
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The last time at or before `now`, found by going back far enough; `None` when there was none in a day.
    pub fn last_before(&self, now: Timestamp) -> Option<Timestamp> {
        for minutes in [2, 90, 60 * 25] {
            let from = now.checked_sub(SignedDuration::from_mins(minutes)).ok()?;
            let mut last = None;
            let mut at = from;
            while let Some(next) = self.next(at).filter(|next| *next <= now) {
                last = Some(next);
                at = next;
            }
            if last.is_some() {
                return last;
            }
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let Times::Fields {
            day,
            month,
            weekday,
            ..
        } = self.times
        else {
            return true;
        };
        let by_day = day.has(date.day());
        let by_weekday = weekday.has(date.weekday().to_sunday_zero_offset());
        // Two restrictions are alternatives; with a star the other one alone counts.
        let is_day = if day.is_star || weekday.is_star {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        };
        month.has(date.month()) && is_day
    }

    /// The moment of a time of day; `None` when clocks skip it.
    fn timestamp(&self, date: Date, hour: i8, minute: i8) -> Option<Timestamp> {
        let time = Time::new(hour, minute, 0, 0).ok()?;
        let ambiguous = self
            .zone
            .to_ambiguous_timestamp(DateTime::from_parts(date, time));
        match ambiguous.offset() {
            jiff::tz::AmbiguousOffset::Gap { .. } => None,
            _ => ambiguous.compatible().ok(),
        }
    }
}

/// Reads one field: a list of values, ranges and steps.
fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Result<Field, String> {
    let mut field = Field {
        bits: 0,
        is_star: false,
    };
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step, &[], 0)?)),
            None => (part, None),
        };
        let (from, to) = match range {
            "*" | "?" => {
                field.is_star |= step.is_none_or(|step| step <= 1);
                (low, high)
            }
            _ => {
                if let Some((from, to)) = range.split_once('-') {
                    (number(from, names, low)?, number(to, names, low)?)
                } else {
                    let value = number(range, names, low)?;
                    (value, if step.is_some() { high } else { value })
                }
            }
        };
        let step = step.unwrap_or(1);
        if from < low {
            return Err(format!(
                "beginning of range ({from}) below minimum ({low}): {part}"
            ));
        }
        if to > high {
            return Err(format!(
                "end of range ({to}) above maximum ({high}): {part}"
            ));
        }
        if from > to {
            return Err(format!(
                "beginning of range ({from}) beyond end of range ({to}): {part}"
            ));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        for value in (from..=to).step_by(step) {
            field.bits |= 1 << value;
        }
    }
    Ok(field)
}

fn number(text: &str, names: &[&str], first: u32) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(at) = names.iter().position(|name| *name == lower) {
        return Ok(u32::try_from(at).unwrap_or_default() + first);
    }
    text.parse()
        .map_err(|_| format!("failed to parse int from {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn next(schedule: &str, zone: &str, from: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        let next = Schedule::parse(schedule, &zone).unwrap().next(at(from));
        next.map_or_else(|| "never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        let from = "2026-03-10T10:07:30Z";
        for (schedule, expected) in [
            ("*/15 * * * *", "2026-03-10T10:15:00Z"),
            ("7 * * * *", "2026-03-10T11:07:00Z"),
            ("0 0 * * *", "2026-03-11T00:00:00Z"),
            ("30 4 1,15 * 5", "2026-03-13T04:30:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 9-17/4 * * MON-FRI", "2026-03-10T13:00:00Z"),
            ("0 0 * jan sun", "2027-01-03T00:00:00Z"),
            ("@monthly", "2026-04-01T00:00:00Z"),
            ("5/20 * * * *", "2026-03-10T10:25:00Z"),
            ("0 0 31 2 *", "never"),
        ] {
            assert_eq!(next(schedule, "UTC", from), expected, "{schedule}");
        }
        assert_eq!(next("@every 90s", "UTC", from), "2026-03-10T10:09:00Z");
    }

    #[test]
    fn zones_and_skipped_hours_are_honoured() {
        assert_eq!(
            next("0 9 * * *", "Asia/Shanghai", "2026-03-10T00:30:00Z"),
            "2026-03-10T01:00:00Z"
        );
        // Clocks in Berlin skip from two to three on 29 March 2026.
        assert_eq!(
            next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"),
            "2026-03-30T00:30:00Z"
        );
    }

    #[test]
    fn malformed_schedules_are_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "@sometimes",
            "x * * * *",
            "* * * * 7",
        ] {
            assert!(Schedule::parse(text, &TimeZone::UTC).is_err(), "{text}");
        }
    }
}
