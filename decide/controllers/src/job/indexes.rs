//! Sets of completion indexes, written as `0-2,5`.

use std::collections::BTreeSet;

/// Largest number of indexes a job may have. Source: `maxCompletionsForIndexedJob` in validation.
const INDEXES_MAX: i64 = 100_000;

/// Reads a set of indexes below `completions`; what is malformed is left out.
pub(super) fn parse(text: &str, completions: i64) -> BTreeSet<i64> {
    let mut out = BTreeSet::new();
    let end = completions.min(INDEXES_MAX);
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(low), Ok(high)) = (low.parse::<i64>(), high.parse::<i64>()) {
            out.extend(low.max(0)..high.saturating_add(1).min(end));
        }
    }
    out
}

/// Writes a set; neighbours become ranges.
pub(super) fn print(indexes: &BTreeSet<i64>) -> String {
    let mut parts = Vec::new();
    let mut run: Option<(i64, i64)> = None;
    for index in indexes {
        run = match run {
            Some((low, high)) if *index == high + 1 => Some((low, *index)),
            Some(done) => {
                parts.push(range(done));
                Some((*index, *index))
            }
            None => Some((*index, *index)),
        };
    }
    parts.extend(run.map(range));
    parts.join(",")
}

fn range((low, high): (i64, i64)) -> String {
    // Upstream writes two neighbours as two numbers.
    match high - low {
        0 => low.to_string(),
        1 => format!("{low},{high}"),
        _ => format!("{low}-{high}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        assert_eq!(print(&parse("0-2,5,6,9", 10)), "0-2,5,6,9");
        assert_eq!(print(&parse("3,1,2", 10)), "1-3");
        assert_eq!(print(&parse("2-9,7", 5)), "2-4");
        assert!(parse("x,-1,2-,9999999999", 10).is_empty());
    }
}
