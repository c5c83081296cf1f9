//! What a scalar means: by its tag, or by how it looks.
//!
//! Source: go-yaml `resolve.go`: YAML 1.1 with Go's integers.

use std::cmp::Ordering;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::GeneralPurposeConfig;
use base64::engine::general_purpose::GeneralPurpose;

use super::tape::Sort;

/// A value that is no list or map; as the key of a map it is told apart by its type too, as Go does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// What no `i64` holds.
    Uint(u64),
    Float(Float),
    Text(String),
}

/// A float that can stand in an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Float(pub(super) f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Scalar {
    /// The tag that fits what it is.
    fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Text(_) => "!!str",
        }
    }
}

/// Base64 as Go reads it, which does not look at bits that are left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// What a text means.
///
/// # Errors
/// It is not of the type that its tag says.
pub(super) fn resolve(text: &str, sort: &Sort) -> Result<Scalar, String> {
    let tag = match sort {
        Sort::Plain => return Ok(meaning(text)),
        Sort::Quoted => return Ok(Scalar::Text(text.to_owned())),
        Sort::Tagged(tag) => tag.as_str(),
    };
    match (tag, meaning(text)) {
        ("!!binary", _) => binary(text),
        ("!!timestamp", Scalar::Text(text)) if is_timestamp(&text) => Ok(Scalar::Text(text)),
        ("!!float", Scalar::Int(number)) => {
            #[expect(clippy::cast_precision_loss, reason = "Go's conversion loses it too")]
            let float = number as f64;
            Ok(Scalar::Float(Float(float)))
        }
        ("!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp", meant) => {
            let is = meant.tag();
            if is == tag {
                Ok(meant)
            } else {
                Err(format!("cannot decode {is} `{text}` as a {tag}"))
            }
        }
        _ => Ok(Scalar::Text(text.to_owned())),
    }
}

/// What a text without quotes and tag means.
fn meaning(text: &str) -> Scalar {
    let meant = match text.as_bytes().first() {
        None => Some(Scalar::Null),
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => named_float(text)
            .map(Float)
            .map(Scalar::Float)
            .or_else(|| number(text)),
        Some(_) => word(text),
    };
    meant.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

fn word(text: &str) -> Option<Scalar> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => return None,
    })
}

fn named_float(text: &str) -> Option<f64> {
    Some(match text {
        ".nan" | ".NaN" | ".NAN" => f64::NAN,
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => f64::INFINITY,
        "-.inf" | "-.Inf" | "-.INF" => f64::NEG_INFINITY,
        _ => return None,
    })
}

/// A number, in which underscores may stand anywhere but after a leading point: there only between digits.
fn number(text: &str) -> Option<Scalar> {
    let plain = text.replace('_', "");
    if text.starts_with('.') {
        let is_apart = text.contains("._") || text.contains("__") || text.ends_with('_');
        let is_beside = ["_e", "_E", "e_", "E_", "+_", "-_"];
        let is_misplaced = is_apart || is_beside.iter().any(|pair| text.contains(pair));
        return decimal(&plain)
            .filter(|_| !is_misplaced)
            .map(Float)
            .map(Scalar::Float);
    }
    integer(&plain)
        .or_else(|| decimal(&plain).map(Float).map(Scalar::Float))
        .or_else(|| {
            let digits = plain.strip_prefix("0b")?;
            i64::from_str_radix(digits, 2).ok().map(Scalar::Int)
        })
}

/// An integer as Go writes it, whose prefix is its base; only without a sign it may be too large for an `i64`.
///
/// Source: Go's `strconv`, `ParseInt` and `ParseUint` with base 0.
fn integer(text: &str) -> Option<Scalar> {
    if let Some(digits) = text.strip_prefix('-') {
        return 0_i64
            .checked_sub_unsigned(magnitude(digits)?)
            .map(Scalar::Int);
    }
    if let Some(digits) = text.strip_prefix('+') {
        return i64::try_from(magnitude(digits)?).ok().map(Scalar::Int);
    }
    let number = magnitude(text)?;
    Some(i64::try_from(number).map_or(Scalar::Uint(number), Scalar::Int))
}

fn magnitude(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (base, digits) = match text.as_bytes() {
        [b'0', b'b' | b'B', _, ..] => (2, text.get(2..)?),
        [b'0', b'o' | b'O', _, ..] => (8, text.get(2..)?),
        [b'0', b'x' | b'X', _, ..] => (16, text.get(2..)?),
        [b'0', ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, base).ok()
}

/// A float in decimal digits that a float can hold. Source: go-yaml `yamlStyleFloat`.
fn decimal(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent)),
        None => (unsigned, None),
    };
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_mantissa = are_digits(whole) && are_digits(fraction) && whole.len() + fraction.len() > 0;
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    if !is_mantissa || !is_exponent {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// What base64 stands for; line breaks do not matter. Source: Go's `encoding/base64`.
fn binary(text: &str) -> Result<Scalar, String> {
    let bytes = BASE64
        .decode(text.replace(['\r', '\n'], ""))
        .map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether a text is a day, or a day with a time. Source: go-yaml `allowedTimestampFormats`.
fn is_timestamp(text: &str) -> bool {
    let (day, time) = match text.find(['T', 't', ' ']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let number = |text: &str, most: usize| {
        let fits =
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i16>().ok().filter(|_| fits)
    };
    let mut parts = day.split('-');
    let (year, month, date) = (parts.next(), parts.next(), parts.next());
    let year = year
        .filter(|year| year.len() == 4)
        .and_then(|year| number(year, 4));
    let month = month.and_then(|month| number(month, 2)?.try_into().ok());
    let date = date.and_then(|date| number(date, 2)?.try_into().ok());
    let (Some(year), Some(month), Some(date), None) = (year, month, date, parts.next()) else {
        return false;
    };
    if jiff::civil::Date::new(year, month, date).is_err() {
        return false;
    }
    let time = match (time.chars().next(), time.get(1..)) {
        (None, _) => return true,
        (Some(' '), Some(time)) => time,
        (_, Some(time)) => match time.strip_suffix('Z').or_else(|| before_offset(time)) {
            Some(time) => time,
            None => return false,
        },
        _ => return false,
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let limits = [24, 60, 60];
    let parts: Vec<&str> = clock.split(':').collect();
    let in_limits = |(part, limit): (&&str, i16)| number(part, 2).is_some_and(|part| part < limit);
    parts.len() == limits.len()
        && parts.iter().zip(limits).all(in_limits)
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// A time without its offset from UTC, such as `+02:00`.
fn before_offset(time: &str) -> Option<&str> {
    let (time, offset) = time.split_at(time.rfind(['+', '-'])?);
    let bytes = offset.as_bytes();
    let is_offset = bytes.len() == 6
        && bytes.iter().enumerate().skip(1).all(|(at, byte)| match at {
            3 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
    is_offset.then_some(time)
}
