//! What upstream's scanner refuses in the text between values, and within quotes.

use super::words::{NO_TOKEN, TAB_VIOLATES};

/// What stands before a text between values.
#[derive(Clone, Copy)]
pub(super) enum After {
    /// The document begins with it.
    Nothing,
    /// Text without quotes, whose next lines would begin at a column.
    Plain(usize),
    /// Text in lines of its own.
    Lines,
    Other,
}

/// A tab that may not be: how many lines down it stands, and what is said of it.
pub(super) type Tab = (usize, &'static str);

/// A tab in a text between values that are not in brackets, where a key could begin.
///
/// Source: go-yaml `scannerc.go`, `yaml_parser_scan_to_next_token`: tabs are passed over only where no key can begin,
/// which is after a line break and after the marks of a list's item and of a key or value on lines of their own.
pub(super) fn misplaced_tab(gap: &str, after: After) -> Option<Tab> {
    if !gap.contains('\t') {
        return None;
    }
    let rest = gap.trim_start_matches([' ', '\t', '\r', '\n']);
    let blank = gap.strip_suffix(rest).unwrap_or_default();
    let begins = match after {
        After::Plain(column) => {
            if let Some(tab) = indenting_tab(blank, column) {
                return Some(tab);
            }
            // The scanner has passed over what is blank as part of the text.
            return key_tab(rest, blank.contains('\n'))
                .map(|(lines, words)| (lines + blank.matches('\n').count(), words));
        }
        After::Lines => {
            let words = "found a tab character where an indentation space is expected";
            if let Some((before, _)) = blank.split_once('\t') {
                return Some((before.matches('\n').count(), words));
            }
            true
        }
        After::Nothing => true,
        After::Other => false,
    };
    key_tab(gap, begins)
}

fn key_tab(gap: &str, begins: bool) -> Option<Tab> {
    let mut lines = 0;
    let mut chars = gap.chars().peekable();
    let (mut may_begin, mut is_blank, mut before) = (begins, begins, ' ');
    while let Some(c) = chars.next() {
        let ends = chars.peek().is_none_or(char::is_ascii_whitespace);
        match c {
            '\t' if may_begin => return Some((lines, NO_TOKEN)),
            '\n' => {
                lines += 1;
                (may_begin, is_blank) = (true, true);
            }
            ' ' | '\t' | '\r' => {}
            '#' if before.is_ascii_whitespace() => {
                while chars.next_if(|next| *next != '\n').is_some() {}
            }
            '-' | '?' if ends && before.is_ascii_whitespace() => {
                (may_begin, is_blank) = (true, true);
            }
            ':' if ends && is_blank => may_begin = true,
            _ => (may_begin, is_blank) = (false, false),
        }
        before = c;
    }
    None
}

/// A tab before the column at which the next lines of a text without quotes begin.
///
/// Source: go-yaml `scannerc.go`, `yaml_parser_scan_plain_scalar`.
pub(super) fn indenting_tab(text: &str, column: usize) -> Option<Tab> {
    let is_tab = |line: &str| {
        let rest = line.trim_start_matches(' ');
        rest.starts_with('\t') && line.len() - rest.len() < column
    };
    let at = text.split('\n').skip(1).position(is_tab)?;
    Some((at + 1, TAB_VIOLATES))
}

/// How many lines down a text in double quotes, as it is written, escapes half a character.
///
/// Source: go-yaml `scannerc.go`, `yaml_parser_scan_flow_scalar`, which knows no pairs of UTF-16.
pub(super) fn half_character(source: &str) -> Option<usize> {
    let mut rest = source;
    let mut lines = 0;
    while let Some((before, escaped)) = rest.split_once('\\') {
        lines += before.matches('\n').count();
        let digits = match escaped.as_bytes().first() {
            Some(b'u') => escaped.get(1..5),
            Some(b'U') => escaped.get(1..9),
            _ => None,
        };
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if code.is_some_and(|code| (0xd800..=0xdfff).contains(&code)) {
            return Some(lines);
        }
        let mut chars = escaped.chars();
        lines += usize::from(chars.next() == Some('\n'));
        rest = chars.as_str();
    }
    None
}
