//! Numbers as Go writes them in metrics, since bounds of histograms are compared as text.

use std::ops::Range;

/// Exponents of ten of numbers that are written without one. Source: Go `strconv.FormatFloat(x, 'g', -1, 64)`.
const PLAIN_EXPONENTS: Range<i32> = -4..6;

/// A number as it was written, in Go's way; what is no number stays.
pub(crate) fn rewritten(written: &str) -> String {
    match written.parse::<f64>() {
        Ok(number) if number.is_finite() => go(number),
        _ => written.to_owned(),
    }
}

pub(crate) fn go(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !PLAIN_EXPONENTS.contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    number.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (written, wanted) in [
            ("0.0", "0"),
            ("1.0", "1"),
            ("0.005", "0.005"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("249856", "249856"),
            ("999999.0", "999999"),
            ("1000000.0", "1e+06"),
            ("1234567", "1.234567e+06"),
            ("2621440.0", "2.62144e+06"),
            ("18446744073709551615", "1.8446744073709552e+19"),
            ("-1.0", "-1"),
            ("+Inf", "+Inf"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(rewritten(written), wanted, "{written}");
        }
    }
}
