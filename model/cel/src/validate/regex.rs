//! Whether texts are regular expressions as Go reads them, which differ a little from Rust's. Source: Go `regexp/syntax`.

use regex_syntax::ast::{Error, ErrorKind};
use regex_syntax::hir::{Hir, HirKind};

/// Most repetitions that may be counted.
const REPETITIONS_MAX: u32 = 1000;

/// What is wrong with a regular expression, in Go's words as far as they are known.
pub(crate) fn complaint(text: &str) -> Option<String> {
    let why = match regex_syntax::parse(&translated(text)) {
        Ok(regex) if counts_too_far(&regex) => "invalid repeat count".to_owned(),
        Ok(_) => return None,
        Err(regex_syntax::Error::Parse(error)) => words(&error, text),
        Err(error) => error
            .to_string()
            .lines()
            .last()
            .unwrap_or_default()
            .to_owned(),
    };
    Some(format!("error parsing regexp: {why}"))
}

fn words(error: &Error, text: &str) -> String {
    let span = error.span();
    let part = error
        .pattern()
        .get(span.start.offset..span.end.offset)
        .unwrap_or_default();
    match error.kind() {
        ErrorKind::GroupUnclosed => format!("missing closing ): `{text}`"),
        ErrorKind::GroupUnopened => format!("unexpected ): `{text}`"),
        ErrorKind::ClassUnclosed => {
            let rest = error.pattern().get(span.start.offset..).unwrap_or_default();
            format!("missing closing ]: `{rest}`")
        }
        ErrorKind::RepetitionMissing => {
            let rest = error.pattern().get(span.start.offset..).unwrap_or_default();
            let operator: String = rest.chars().take(1).collect();
            format!("missing argument to repetition operator: `{operator}`")
        }
        ErrorKind::UnsupportedLookAround | ErrorKind::FlagUnrecognized => {
            format!("invalid or unsupported Perl syntax: `{part}`")
        }
        ErrorKind::ClassRangeInvalid => format!("invalid character class range: `{part}`"),
        ErrorKind::EscapeUnexpectedEof => "trailing backslash at end of expression: ``".to_owned(),
        _ => format!("invalid escape sequence: `{part}`"),
    }
}

/// The same expression with what only Go knows written as Rust reads it.
fn translated(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_class = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if !is_class && rest.starts_with("\\Q") {
            let quoted = after.get(1..).unwrap_or_default();
            let (quoted, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex_syntax::escape(quoted));
            rest = after;
            continue;
        }
        let (taken, written) = match c {
            '\\' if after.starts_with('C') => (2, ".".to_owned()),
            '\\' if after.starts_with('0') => (2, "a".to_owned()),
            '\\' => {
                let mut escaped = 1 + after.chars().next().map_or(0, char::len_utf8);
                // A class of characters, or one character by its number.
                if ["p{", "P{", "x{"]
                    .iter()
                    .any(|open| after.starts_with(open))
                {
                    escaped = rest.find('}').map_or(escaped, |end| end + 1);
                }
                (escaped, rest.get(..escaped).unwrap_or(rest).to_owned())
            }
            '[' if !is_class => {
                is_class = true;
                // A bracket that comes first closes nothing.
                let opening = ["[^]", "[]", "[^"]
                    .into_iter()
                    .find(|open| rest.starts_with(open));
                let opening = opening.unwrap_or("[");
                (opening.len(), opening.to_owned())
            }
            '[' if !after.starts_with(':') => (1, "\\[".to_owned()),
            '[' => {
                let end = rest.find(":]").map_or(1, |end| end + 2);
                (end, rest.get(..end).unwrap_or(rest).to_owned())
            }
            ']' if is_class => {
                is_class = false;
                (1, "]".to_owned())
            }
            '&' | '~' if is_class => (1, format!("\\{c}")),
            '{' if !is_class && !is_count(after) => (1, "\\{".to_owned()),
            _ => (c.len_utf8(), c.to_string()),
        };
        out.push_str(&written);
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// Whether a brace begins a count such as `{2,3}`.
fn is_count(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

fn counts_too_far(regex: &Hir) -> bool {
    match regex.kind() {
        HirKind::Repetition(repetition) => {
            repetition.min > REPETITIONS_MAX
                || repetition.max.is_some_and(|max| max > REPETITIONS_MAX)
                || counts_too_far(&repetition.sub)
        }
        HirKind::Capture(capture) => counts_too_far(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(counts_too_far),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_are_read_as_go_reads_them() {
        for text in [
            "^[a-z]+$",
            "a{2,3}",
            "{",
            "a{",
            "a{,2}",
            "[[]",
            "[^[]",
            "[]a]",
            "[a&&b]",
            r"\Q(\E",
            r"\pN",
            r"\p{Greek}",
            r"\x41",
            r"\z",
            r"\/",
            "(?i)a",
            "(?P<n>a)",
            "(?<n>a)",
            "[[:alpha:]_]",
            r"a\.b",
            "a**?",
            r"[\w-]",
            r"[\[\]]",
            "\\C",
        ] {
            assert_eq!(complaint(text), None, "{text}");
        }
        for (text, why) in [
            ("(", "missing closing ): `(`"),
            ("a)", "unexpected ): `a)`"),
            ("[a", "missing closing ]: `[a`"),
            ("*", "missing argument to repetition operator: `*`"),
            ("a{1001}", "invalid repeat count"),
        ] {
            assert_eq!(
                complaint(text),
                Some(format!("error parsing regexp: {why}"))
            );
        }
        for text in ["(?=a)", r"\1", r"\y", "\\", "[b-a]", "(?<n", r"\p{Nothing}"] {
            assert!(complaint(text).is_some(), "{text}");
        }
    }
}
