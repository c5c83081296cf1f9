//! Quantities such as `500m`, `1Gi`, `2e3`: exact to a billionth, with upstream's canonical spelling.
//!
//! Source: apimachinery `api/resource`: suffixes, rounding (up, to nano) and canonical form.

use std::fmt;

const NANO: i128 = 1_000_000_000;
const BINARY_SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Decimal suffixes with their power of ten.
const DECIMAL_SUFFIXES: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
/// Largest magnitude that upstream keeps of binary quantities: 2^63 - 1.
const VALUE_MAX: i128 = i64::MAX as i128;
/// Largest amount in billionths, where upstream has no bound: what is written of it reads the same, and two add up.
const NANOS_MAX: i128 = 10_i128.pow(37);
/// Most digits that are read; more are more than [`NANOS_MAX`].
const DIGITS_MAX: usize = 37;

/// How a quantity was written, and so is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi`
    BinarySi,
    /// `12M`
    DecimalSi,
}

/// An amount, exact to 10^-9. Equality and order compare amounts, not spelling.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text does not look like a quantity.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The number part is no number.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Zero, in the given format.
    pub const fn zero(format: Format) -> Self {
        Self { nanos: 0, format }
    }
    /// A whole number of units.
    pub fn from_units(units: i64, format: Format) -> Self {
        Self {
            nanos: i128::from(units) * NANO,
            format,
        }
    }
    /// Thousandths, as CPU is counted.
    pub fn from_milli(milli: i64) -> Self {
        Self {
            nanos: i128::from(milli) * (NANO / 1000),
            format: Format::DecimalSi,
        }
    }
    /// Reads a quantity.
    ///
    /// # Errors
    /// The text is no quantity; the message is upstream's.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (negative, number, suffix) = split(text)?;
        let (base, exponent, format) = suffix_scale(suffix).ok_or(ParseError::Suffix)?;
        let nanos = scale(number, base, exponent).ok_or(ParseError::Numeric)?;
        let nanos = match format {
            // Upstream caps these alone.
            Format::BinarySi => nanos.min(VALUE_MAX * NANO),
            Format::DecimalExponent | Format::DecimalSi => nanos,
        };
        Ok(Self {
            nanos: if negative { -nanos } else { nanos },
            format,
        })
    }
    /// The text in which upstream tells a quantity that was read from one: canonical, but where its quick way of
    /// reading takes the text for canonical already.
    ///
    /// # Errors
    /// The text is no quantity; the message is upstream's.
    pub fn spelling(text: &str) -> Result<String, ParseError> {
        let quantity = Self::parse(text)?;
        Ok(if is_kept(text)? {
            text.to_owned()
        } else {
            quantity.to_string()
        })
    }
    /// Billionths.
    pub fn nanos(&self) -> i128 {
        self.nanos
    }
    /// Whole units, rounded up (away from zero), as upstream's `Value`.
    pub fn value(&self) -> i64 {
        saturate(ceil_div(self.nanos, NANO))
    }
    /// Thousandths, rounded up, as upstream's `MilliValue`.
    pub fn milli_value(&self) -> i64 {
        saturate(ceil_div(self.nanos, NANO / 1000))
    }
    /// Whether the amount is below zero.
    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }
    /// Whether the amount is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
    /// Whether the amount has a part below one unit.
    pub fn is_fractional(&self) -> bool {
        self.nanos % NANO != 0
    }
    /// The amount in whole units, rounded up, as upstream's `RoundUp(0)`.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            nanos: ceil_div(self.nanos, NANO) * NANO,
            format: self.format,
        }
    }
    /// The sum; keeps this quantity's format unless it is zero.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            format,
        }
    }
    /// The difference; keeps this quantity's format unless it is zero.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            format,
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let units = self.nanos / NANO;
        match self.format {
            Format::BinarySi if units.abs() >= 1024 && self.nanos % NANO == 0 => {
                let (amount, power) = divide_out(units, 1024, BINARY_SUFFIXES.len() - 1);
                write!(f, "{amount}{}", BINARY_SUFFIXES.get(power).unwrap_or(&""))
            }
            Format::BinarySi | Format::DecimalSi => {
                let (amount, power) = divide_out(self.nanos, 1000, DECIMAL_SUFFIXES.len() - 1);
                write!(
                    f,
                    "{amount}{}",
                    DECIMAL_SUFFIXES.get(power).map_or("", |(suffix, _)| suffix)
                )
            }
            Format::DecimalExponent => {
                let (amount, power) = divide_out(self.nanos, 1000, usize::MAX);
                let exponent = i64::try_from(power).unwrap_or_default() * 3 - 9;
                if exponent == 0 {
                    write!(f, "{amount}")
                } else {
                    write!(f, "{amount}e{exponent}")
                }
            }
        }
    }
}

/// Divides by `base` while nothing is lost; returns what is left and how often it went.
fn divide_out(mut amount: i128, base: i128, most: usize) -> (i128, usize) {
    let mut times = 0;
    while times < most && amount != 0 && amount % base == 0 {
        amount /= base;
        times += 1;
    }
    (amount, times)
}

fn ceil_div(amount: i128, unit: i128) -> i128 {
    let (whole, rest) = (amount / unit, amount % unit);
    whole + rest.signum()
}

fn saturate(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

/// Sign, number and suffix of a quantity's text.
fn split(text: &str) -> Result<(bool, &str, &str), ParseError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    // Without digits it is zero. Source: `parseQuantityString`.
    if text.is_empty() || number.matches('.').count() > 1 {
        return Err(ParseError::Format);
    }
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    if !rest.chars().all(|c| c.is_ascii_digit()) {
        return Err(ParseError::Format);
    }
    Ok((text.starts_with('-'), number, suffix))
}

/// Whether the text of a quantity stays as it is. Source: `ParseQuantity`.
fn is_kept(text: &str) -> Result<bool, ParseError> {
    let (_, number, suffix) = split(text)?;
    let (_, exponent, format) = suffix_scale(suffix).ok_or(ParseError::Suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.trim_start_matches('0');
    if whole.is_empty() {
        return Ok(false);
    }
    let (whole_digits, places) = (whole.len(), fraction.len());
    Ok(match format {
        Format::BinarySi => {
            // Three decimal digits for each power of 1024, of fifteen.
            let digits = usize::try_from(exponent * 3).unwrap_or(usize::MAX) + 1;
            let is_quick = places == 0 && whole_digits.saturating_add(digits) <= 15;
            is_quick && whole.parse::<u64>().is_ok_and(|amount| amount % 8 != 0)
        }
        Format::DecimalSi | Format::DecimalExponent => {
            let scale = exponent.saturating_sub(i32::try_from(places).unwrap_or(i32::MAX));
            let is_quick = whole_digits + places <= 18 && scale >= -9;
            let digits = [whole, fraction].concat();
            is_quick && scale % 3 == 0 && !digits.ends_with("000")
        }
    })
}

/// Base, exponent and format of a suffix; `None` when there is no such suffix.
fn suffix_scale(suffix: &str) -> Option<(i128, i32, Format)> {
    if !suffix.is_empty()
        && let Some(power) = BINARY_SUFFIXES.iter().position(|known| *known == suffix)
    {
        return Some((1024, i32::try_from(power).ok()?, Format::BinarySi));
    }
    if let Some((_, power)) = DECIMAL_SUFFIXES.iter().find(|(known, _)| *known == suffix) {
        return Some((10, *power, Format::DecimalSi));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((10, exponent.parse().ok()?, Format::DecimalExponent))
}

/// `number * base^exponent` in billionths, rounded up; `None` when the digits overflow.
fn scale(number: &str, base: i128, exponent: i32) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits: String = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    let mut decimal = 9 - i32::try_from(fraction.len()).ok()?;
    let mut amount: i128 = if digits.len() > DIGITS_MAX {
        return Some(NANOS_MAX);
    } else {
        digits.parse().ok()?
    };
    if base == 10 {
        decimal = decimal.checked_add(exponent)?;
    } else {
        amount = amount
            .checked_mul(base.checked_pow(u32::try_from(exponent).ok()?)?)
            .unwrap_or(i128::MAX);
    }
    if decimal >= 0 {
        let factor = 10_i128
            .checked_pow(u32::try_from(decimal).ok()?)
            .unwrap_or(i128::MAX);
        return Some(amount.saturating_mul(factor).min(NANOS_MAX));
    }
    let divisor = 10_i128
        .checked_pow(decimal.unsigned_abs())
        .unwrap_or(i128::MAX);
    Some(ceil_div(amount, divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_amounts_read_as_they_are_written() {
        for text in [
            "000200E80",
            "1e28",
            "9999999999999999999999999999",
            "1e-9",
            "8Ei",
        ] {
            let quantity = Quantity::parse(text).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            assert_eq!(again.nanos(), quantity.nanos(), "{text}");
            assert_eq!(quantity.add(&again).sub(&again).nanos(), quantity.nanos());
        }
    }

    #[test]
    fn texts_that_look_canonical_stay() {
        for text in [
            "+1", "5.", "1e30", "1.234", "007", "1E3", "+1Gi", "1500m", "1025Mi",
        ] {
            assert_eq!(Quantity::spelling(text).as_deref(), Ok(text));
        }
        let others = [
            ("1.5", "1500m"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1000", "1k"),
            ("2000.000", "2k"),
        ];
        for (text, canonical) in
            others
                .into_iter()
                .chain([(".", "0"), ("Gi", "0"), ("-", "0"), ("00", "0")])
        {
            assert_eq!(Quantity::spelling(text).as_deref(), Ok(canonical));
        }
    }

    #[test]
    fn canonical_spelling_is_upstreams() {
        let cases = [
            ("0", "0"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("100Mi", "100Mi"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1000", "1k"),
            ("1100", "1100"),
            ("0.1Ki", "102400m"),
            ("1n", "1n"),
            ("0.0000000001", "1n"),
            ("-1", "-1"),
            ("+2", "2"),
            ("1000k", "1M"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("100E", "100E"),
            ("100Ei", "9223372036854775807"),
            ("1E", "1E"),
            (".5", "500m"),
            ("5.", "5"),
        ];
        for (text, canonical) in cases {
            assert_eq!(
                Quantity::parse(text).unwrap().to_string(),
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_are_no_quantity_are_refused() {
        for text in ["", "x", "1x", "1.2.3", "1 Gi", "1mm", "--1"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_round_up() {
        let quantity = Quantity::parse("1500m").unwrap();
        assert_eq!((quantity.value(), quantity.milli_value()), (2, 1500));
        assert_eq!(Quantity::parse("-1500m").unwrap().value(), -2);
    }
}
