//! Canonical spelling of quantities, times, bytes and floats, with Go's words for malformed ones.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use meta::Quantity;
use serde_json::Value;

/// Standard base64 that, as Go's, tolerates stray trailing bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
const RFC3339_MICRO: &str = "2006-01-02T15:04:05.000000Z07:00";

/// Whole floats are written without a fraction.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers below 2^53 are exact"
)]
pub(super) fn float(value: &mut Value) {
    if let Some(number) = value.as_f64()
        && number.fract() == 0.0
        && number.abs() < 9e15
    {
        *value = Value::from(number as i64);
    }
}

/// Base64 without line breaks; Go's error otherwise.
pub(super) fn bytes(text: &str) -> Result<String, String> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = BASE64.decode(&joined).map_err(|_| {
        let at = corrupt_at(text.as_bytes()).unwrap_or_default();
        format!("illegal base64 data at input byte {at}")
    })?;
    Ok(BASE64.encode(bytes))
}

/// Bytes that stand in a list as numbers, as Go reads them too; otherwise the first item that is none.
pub(super) fn listed_bytes(items: &[Value]) -> Result<String, &Value> {
    let byte = |item| match item {
        &Value::Null => Ok(0),
        item => {
            let byte = item.as_u64().and_then(|number| u8::try_from(number).ok());
            byte.ok_or(item)
        }
    };
    let bytes: Result<Vec<u8>, &Value> = items.iter().map(byte).collect();
    bytes.map(|bytes| BASE64.encode(bytes))
}

/// Where Go finds the first fault; `None` when there is none.
///
/// Source: Go's `encoding/base64` `decodeQuantum`.
fn corrupt_at(text: &[u8]) -> Option<usize> {
    let bytes = text.iter().copied().enumerate();
    let mut bytes = bytes.filter(|(_, byte)| !matches!(byte, b'\n' | b'\r'));
    loop {
        for read in 0..4 {
            let Some((at, byte)) = bytes.next() else {
                return (read > 0).then(|| text.len() - read);
            };
            if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') {
                continue;
            }
            if byte != b'=' || read < 2 {
                return Some(at);
            }
            if read == 2 {
                match bytes.next() {
                    None => return Some(text.len()),
                    Some((_, b'=')) => {}
                    Some((at, _)) => return Some(at - 1),
                }
            }
            return bytes.next().map(|(at, _)| at);
        }
    }
}

/// The spelling in which upstream tells a quantity that was given as text or number.
pub(super) fn quantity(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Quantity::spelling(text.trim()).map_err(|error| error.to_string())
}

/// The time in UTC, to the second or microsecond.
pub(super) fn time(text: &str, is_micro: bool) -> Result<String, String> {
    let layout = if is_micro { RFC3339_MICRO } else { RFC3339 };
    let problem = time_problem(text, is_micro);
    let parsed = meta::time::from_rfc3339(text);
    match (problem, parsed) {
        (None, Some(time)) if is_micro => Ok(meta::time::to_rfc3339_micro(time)),
        (None, Some(time)) => Ok(meta::time::to_rfc3339(time)),
        (problem, _) => {
            let problem = problem.unwrap_or_else(|| ": day out of range".into());
            // Go names the layout only where a part of it did not match.
            let layout = if problem.starts_with(": cannot parse") {
                format!(" as \"{layout}\"")
            } else {
                String::new()
            };
            let quoted = quote(text);
            Err(format!("parsing time {quoted}{layout}{problem}"))
        }
    }
}

/// Quotes text as Go's `time` does, which writes out the bytes of all but plain characters.
fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.extend(format!("\\x{byte:02x}").chars()),
        }
    }
    quoted.push('"');
    quoted
}

/// What Go's `time.Parse` complains about, from the colon on.
fn time_problem(text: &str, is_micro: bool) -> Option<String> {
    let parts = [
        ("2006", 4),
        ("-", 0),
        ("01", 2),
        ("-", 0),
        ("02", 2),
        ("T", 0),
        ("15", 2),
        (":", 0),
        ("04", 2),
        (":", 0),
        ("05", 2),
    ];
    let cannot =
        |rest: &str, part: &str| Some(format!(": cannot parse {} as \"{part}\"", quote(rest)));
    let mut rest = text;
    for (part, digits) in parts {
        let after = if digits == 0 {
            rest.strip_prefix(part)
        } else {
            rest.get(..digits)
                .filter(|head| head.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|_| rest.get(digits..))
        };
        let Some(after) = after else {
            return cannot(rest, part);
        };
        let range = rest
            .get(..digits)
            .and_then(|head| head.parse::<u32>().ok())
            .unwrap_or(1);
        let (name, is_out) = match part {
            "01" => ("month", !(1..=12).contains(&range)),
            "02" => ("day", !(1..=31).contains(&range)),
            "15" => ("hour", range > 23),
            "04" => ("minute", range > 59),
            "05" => ("second", range > 59),
            _ => ("", false),
        };
        if is_out {
            return Some(format!(": {name} out of range"));
        }
        rest = after;
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if is_micro && digits != 6 {
            return cannot(rest, ".000000");
        }
        rest = fraction.get(digits..).unwrap_or_default();
    } else if is_micro {
        return cannot(rest, ".000000");
    }
    let zone = rest.strip_prefix('Z').or_else(|| {
        let zone = rest.strip_prefix(['+', '-'])?;
        let is_zone = zone.get(2..3) == Some(":") && zone.len() >= 5;
        if is_zone { zone.get(5..) } else { None }
    });
    match zone {
        None => cannot(rest, "Z07:00"),
        Some("") => None,
        Some(extra) => Some(format!(": extra text: {}", meta::field::quote(extra))),
    }
}
