//! Numbers that may be written as a percentage of another.

use serde_json::Value;

/// Which way a percentage is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Towards the larger.
    Up,
    /// Towards the smaller.
    Down,
}

/// An `IntOrString` field in terms of `total`; `None` when it is missing or no number.
pub fn scaled_value(value: Option<&Value>, total: i64, round: Round) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => match text.strip_suffix('%') {
            Some(percent) => {
                let share = percent.parse::<i64>().ok()?.saturating_mul(total);
                Some(match round {
                    Round::Up => share.div_euclid(100) + i64::from(share.rem_euclid(100) != 0),
                    Round::Down => share.div_euclid(100),
                })
            }
            None => text.parse().ok(),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_round_as_asked() {
        let of_ten = |value: Value, round| scaled_value(Some(&value), 10, round);
        assert_eq!(of_ten(json!("25%"), Round::Up), Some(3));
        assert_eq!(of_ten(json!("25%"), Round::Down), Some(2));
        assert_eq!(of_ten(json!(7), Round::Down), Some(7));
        assert_eq!(of_ten(json!("7"), Round::Down), Some(7));
        assert_eq!(of_ten(json!("x%"), Round::Up), None);
        assert_eq!(scaled_value(None, 10, Round::Up), None);
    }
}
