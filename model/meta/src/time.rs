//! Times as they stand in objects: RFC 3339, UTC, to the second (`Time`) or the microsecond (`MicroTime`).

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};

use crate::field::quote;

/// Writes what is left when the parts of a second are cut off.
const WHOLE_SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));

/// Formats to whole seconds, as `metadata.creationTimestamp` is written.
pub fn to_rfc3339(time: Timestamp) -> String {
    WHOLE_SECONDS.timestamp_to_string(&time)
}

/// Formats to microseconds, as `Lease.spec.renewTime` is written.
pub fn to_rfc3339_micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form; `None` when it is no RFC 3339 time.
pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Units of a duration, in nanoseconds. Source: Go's `time.ParseDuration`.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration such as `1h30m` or `-1.5s`.
///
/// # Errors
/// It is none; Go's sentence says why.
pub fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end =
            |text: &str, wanted: fn(char) -> bool| text.find(|c| !wanted(c)).unwrap_or(text.len());
        let (number, tail) = rest.split_at(end(rest, |c| c.is_ascii_digit() || c == '.'));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(invalid());
        }
        let (unit, tail) = tail.split_at(end(tail, |c| !(c.is_ascii_digit() || c == '.')));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let scale = UNITS.iter().find(|(name, _)| *name == unit);
        let Some((_, scale)) = scale else {
            let (unit, text) = (quote(unit), quote(text));
            return Err(format!("time: unknown unit {unit} in duration {text}"));
        };
        total += nanoseconds(whole, fraction, *scale).ok_or_else(invalid)?;
        rest = tail;
    }
    let total = i64::try_from(total).map_err(|_| invalid())?;
    Ok(SignedDuration::from_nanos(if is_negative {
        -total
    } else {
        total
    }))
}

/// A number of units in nanoseconds; what is smaller is cut off.
fn nanoseconds(whole: &str, fraction: &str, scale: i128) -> Option<i128> {
    /// Digits of a fraction that can still tell. Source: none; nanoseconds of an hour have thirteen.
    const FRACTION_DIGITS_MAX: usize = 15;
    let read = |digits: &str| match digits {
        "" => Some(0),
        digits => digits.parse::<i64>().ok().map(i128::from),
    };
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    let parts = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(read(whole)? * scale + read(fraction)? * scale / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_are_cut_off() {
        for (time, written) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2026-11-28T06:44:59.999999999Z", "2026-11-28T06:44:59Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(to_rfc3339(time.parse().unwrap()), written);
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("1h30m", 5_400_000),
            ("-1.5s", -1500),
            ("+.5s", 500),
            ("2ms3us", 2),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for (text, why) in [
            ("", "time: invalid duration \"\""),
            ("abc", "time: invalid duration \"abc\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("99999999999h", "time: invalid duration \"99999999999h\""),
        ] {
            assert_eq!(parse_duration(text).unwrap_err(), why);
        }
    }
}
