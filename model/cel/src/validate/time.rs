//! Whether texts are lengths of time and moments, as Go reads them. Source: Go `time.ParseDuration`, `time.RFC3339`.

/// Most nanoseconds that a length of time may have.
const NANOSECONDS_MAX: f64 = 9_223_372_036_854_775_807.0;

/// The moments that there are, in seconds since 1970: from year 1 to year 9999. Source: cel-go `minUnixTime`, `maxUnixTime`.
pub(super) const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Whether this is a length of time such as `1h30m`.
pub(super) fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let number = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (amount, after) = rest.split_at(number);
        let units = after.len()
            - after
                .trim_start_matches(|c: char| c != '.' && !c.is_ascii_digit())
                .len();
        let (unit, after) = after.split_at(units);
        let Some(nanoseconds) = nanoseconds(unit) else {
            return false;
        };
        let has_digit = amount.contains(|c: char| c.is_ascii_digit());
        match format!("0{amount}").parse::<f64>() {
            Ok(amount) if has_digit => total += amount * nanoseconds,
            _ => return false,
        }
        rest = after;
    }
    !text.is_empty() && total <= NANOSECONDS_MAX
}

fn nanoseconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

/// Whether this is a moment such as `2026-01-02T03:04:05Z`.
pub(super) fn is_timestamp(text: &str) -> bool {
    let Some((date, time)) = text.split_once('T') else {
        return false;
    };
    let numbers = |text: &str, separator: char| -> Option<[i16; 3]> {
        let parts: Vec<&str> = text.split(separator).collect();
        let [first, second, third] = parts.as_slice() else {
            return None;
        };
        let fits = |text: &&str, digits: usize| {
            (text.len() == digits).then(|| text.parse().ok()).flatten()
        };
        let first_digits = if separator == '-' { 4 } else { 2 };
        Some([
            fits(first, first_digits)?,
            fits(second, 2)?,
            fits(third, 2)?,
        ])
    };
    let Some(at) = time.find(['Z', '+', '-']) else {
        return false;
    };
    let (time, zone) = time.split_at(at);
    let (time, fraction) = time.split_once(['.', ',']).unwrap_or((time, "0"));
    let is_digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let (Some([year, month, day]), Some([hour, minute, second])) =
        (numbers(date, '-'), numbers(time, ':'))
    else {
        return false;
    };
    let narrow = |number: i16| i8::try_from(number).unwrap_or(-1);
    let is_date = jiff::civil::Date::new(year, narrow(month), narrow(day)).is_ok();
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_digits && is_date && is_time && year > 0 && is_zone(zone)
}

fn is_zone(zone: &str) -> bool {
    if zone == "Z" {
        return true;
    }
    let rest = zone.get(1..).unwrap_or_default();
    rest.split_once(':').is_some_and(|(hours, minutes)| {
        let fits = |text: &str, max: u8| {
            text.len() == 2 && text.parse().is_ok_and(|number: u8| number <= max)
        };
        fits(hours, 24) && fits(minutes, 59)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_reads_them() {
        for text in ["1h", "-1.5h30m", "0", "+.5s", "100ms1us2ns", "1\u{b5}s"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "1", "1d", "h", ".s", "1h ", "9999999h", "1.2.3s"] {
            assert!(!is_duration(text), "{text}");
        }
        for text in ["2026-01-02T03:04:05Z", "2024-02-29T00:00:00.123+02:00"] {
            assert!(is_timestamp(text), "{text}");
        }
        for text in [
            "2026-01-02",
            "2026-02-29T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "x",
            "2026-1-02T03:04:05Z",
        ] {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
