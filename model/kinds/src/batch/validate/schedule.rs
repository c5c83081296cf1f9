//! Cron schedules, in the dialect and the error words of robfig/cron.

use super::is_zone;

/// Fields in order: least, most, names from the least on.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];
const DESCRIPTORS: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// What Go's parser runs into that looks for the end of a zone. Source: `ParseCronScheduleWithPanicRecovery`.
const NO_END: &str = "invalid schedule format: runtime error: slice bounds out of range [:-1]";

/// Whether a text is a schedule.
///
/// # Errors
/// What is wrong, in upstream's words.
pub(super) fn parse(text: &str) -> Result<(), String> {
    let text = match text
        .strip_prefix("TZ=")
        .or_else(|| text.strip_prefix("CRON_TZ="))
    {
        Some(rest) => {
            let (zone, rest) = rest.split_once(' ').ok_or(NO_END)?;
            if !is_zone(zone) {
                return Err(format!(
                    "provided bad location {zone}: unknown time zone {zone}"
                ));
            }
            rest.trim()
        }
        None => text,
    };
    if text.starts_with('@') {
        return descriptor(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    }
    for (field, bounds) in fields.iter().zip(FIELDS) {
        for part in field.split(',').filter(|part| !part.is_empty()) {
            range(part, bounds)?;
        }
    }
    Ok(())
}

fn descriptor(text: &str) -> Result<(), String> {
    if DESCRIPTORS.contains(&text) {
        return Ok(());
    }
    let Some(duration) = text.strip_prefix("@every ") else {
        return Err(format!("unrecognized descriptor: {text}"));
    };
    let mut rest = duration.strip_prefix(['+', '-']).unwrap_or(duration);
    let refusal = || {
        format!(
            "failed to parse duration {text}: time: invalid duration {}",
            meta::field::quote(duration)
        )
    };
    if rest.is_empty() {
        return Err(refusal());
    }
    while !rest.is_empty() && rest != "0" {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        if number.is_empty() || !matches!(unit, "ns" | "us" | "ms" | "s" | "m" | "h") {
            return Err(refusal());
        }
        rest = after;
    }
    Ok(())
}

/// `*`, `?`, `4`, `4-8`, each with an optional `/step`.
fn range(part: &str, (least, most, names): (u32, u32, &[&str])) -> Result<(), String> {
    let halves: Vec<&str> = part.split('/').collect();
    let ends: Vec<&str> = halves
        .first()
        .copied()
        .unwrap_or_default()
        .split('-')
        .collect();
    let first = ends.first().copied().unwrap_or_default();
    let is_any = matches!(first, "*" | "?");
    let (start, mut end) = match ends.as_slice() {
        _ if is_any => (least, most),
        [one] => {
            let one = number(one, least, names)?;
            (one, one)
        }
        [from, to] => (number(from, least, names)?, number(to, least, names)?),
        _ => return Err(format!("too many hyphens: {part}")),
    };
    let step = match halves.as_slice() {
        [_] => 1,
        [_, step] => {
            if ends.len() == 1 {
                end = most;
            }
            number(step, least, &[])?
        }
        _ => return Err(format!("too many slashes: {part}")),
    };
    if start < least {
        return Err(format!(
            "beginning of range ({start}) below minimum ({least}): {part}"
        ));
    }
    if end > most {
        return Err(format!(
            "end of range ({end}) above maximum ({most}): {part}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {part}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {part}"));
    }
    Ok(())
}

fn number(text: &str, least: u32, names: &[&str]) -> Result<u32, String> {
    let lower = text.to_lowercase();
    if let Some(at) = names.iter().position(|name| *name == lower) {
        return Ok(least + u32::try_from(at).unwrap_or_default());
    }
    let negative = text.parse::<i64>().ok().filter(|number| *number < 0);
    if let Some(number) = negative {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    text.parse().map_err(|_| {
        let quoted = meta::field::quote(text);
        format!("failed to parse int from {text}: strconv.Atoi: parsing {quoted}: invalid syntax")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_as_upstream_reads_them() {
        for text in [
            "* * * * *",
            "*/5 0-6 1,15 jan mon-fri",
            "@every 5m",
            "@daily",
            "0 0 ? * 0",
        ] {
            assert_eq!(parse(text), Ok(()), "{text}");
        }
        let why = "negative number (-1) not allowed: -1";
        assert_eq!(parse("*/-1 * * * *"), Err(why.to_owned()));
        let bad = "provided bad location Bad/X: unknown time zone Bad/X";
        assert_eq!(parse("TZ=Bad/X * * * * *"), Err(bad.to_owned()));
        assert_eq!(parse("TZ=UTC"), Err(NO_END.to_owned()));
        assert_eq!(parse("CRON_TZ=UTC  0 0 * * *"), Ok(()));
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "@never",
            "@every x",
            "a * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
