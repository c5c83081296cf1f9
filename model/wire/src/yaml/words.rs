//! What is wrong with a text that is no YAML, in the words of upstream's parser.
//!
//! Upstream tells the line from the second one on: that of the mistake where it takes the text apart into tokens, and the
//! one before where it puts them together. Source: go-yaml `yaml.go`, `parser.fail`.

use serde_saphyr::granit_parser::ScanError;

/// Which part of upstream's parser finds a mistake.
enum By {
    Scanner,
    Parser,
    /// Neither: no line is told.
    Reader,
}

/// What is said of a text.
pub(super) fn of(error: &ScanError, text: &str) -> String {
    let (told, mark) = (error.info(), error.marker());
    let line = u64::try_from(mark.line()).unwrap_or(u64::MAX);
    let column = u64::try_from(mark.col())
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let at = offset(text, line, column);
    let before = text.get(..at).unwrap_or(text);
    let (by, line, words) = translate(&told, text, before, line);
    told_by(&by, line, &words)
}

/// For a tab that may not be.
pub(super) fn tab(line: usize, words: &str) -> String {
    told_by(&By::Scanner, number(line), words)
}

/// For an escape of half a character.
pub(super) fn half_character(line: usize) -> String {
    told_by(&By::Scanner, number(line), NO_CHARACTER)
}

/// For a text that says it is of another version of YAML than 1.1.
pub(super) fn incompatible(text: &str) -> String {
    let line = text.lines().take_while(|line| !line.starts_with("%YAML"));
    told_by(&By::Parser, number(line.count() + 1), INCOMPATIBLE)
}

pub(super) const NO_TOKEN: &str = "found character that cannot start any token";
const NO_CHARACTER: &str = "found invalid Unicode character escape code";
const INCOMPATIBLE: &str = "found incompatible YAML document";

fn number(line: usize) -> u64 {
    u64::try_from(line).unwrap_or(u64::MAX)
}

fn told_by(by: &By, line: u64, words: &str) -> String {
    let line = match by {
        By::Scanner if line > 1 => line,
        By::Parser => line.saturating_sub(1),
        By::Scanner | By::Reader => 0,
    };
    if line == 0 {
        format!("yaml: {words}")
    } else {
        format!("yaml: line {line}: {words}")
    }
}

/// Who finds it upstream, in which line, and what is said. `before` is the text before the mistake.
fn translate(told: &str, text: &str, before: &str, line: u64) -> (By, u64, String) {
    const NO_CONTENT: &str = "did not find expected node content";
    let rest = text.get(before.len()..).unwrap_or_default();
    let name: String = rest
        .chars()
        .skip(1)
        .take_while(|c| c.is_alphanumeric() || "_-".contains(*c))
        .collect();
    let ends = |text: &str| u64::try_from(text.matches('\n').count()).unwrap_or(u64::MAX);
    if told.starts_with("unclosed bracket") {
        let end = ends(text) + u64::from(!text.ends_with('\n')) + 1;
        let words = match text.trim_end().chars().last() {
            Some('[' | '{' | ',' | ':') | None => NO_CONTENT.to_owned(),
            Some(_) => unended(text),
        };
        return (By::Parser, end, words);
    }
    match told {
        _ if told.starts_with("tabs disallowed") => (By::Scanner, line, NO_TOKEN.to_owned()),
        _ if told.starts_with("unexpected character") => {
            if told.contains("\\u{") {
                let words = "control characters are not allowed".to_owned();
                return (By::Reader, line, words);
            }
            (By::Scanner, line, NO_TOKEN.to_owned())
        }
        _ if told.starts_with("illegal placement of ':'") => (By::Parser, line, unended(before)),
        "while parsing node, found unknown anchor" => (
            By::Reader,
            line,
            format!("unknown anchor '{name}' referenced"),
        ),
        "unclosed quote" => {
            let words = "found unexpected end of stream".to_owned();
            (By::Scanner, ends(text) + 1, words)
        }
        "simple key expected ':'" => (
            By::Scanner,
            line + 1,
            "could not find expected ':'".to_owned(),
        ),
        _ if told.contains("<document start>") && text.starts_with('%') => {
            let words = "found unknown directive name".to_owned();
            (By::Scanner, line, words)
        }
        "unsupported YAML major version" => (By::Parser, line, INCOMPATIBLE.to_owned()),
        _ if told.contains(" surrogate") => (By::Scanner, line, NO_CHARACTER.to_owned()),
        "misplaced bracket" => (By::Parser, line, NO_CONTENT.to_owned()),
        _ => {
            let is_scanned = told.starts_with("while scanning")
                || told.contains("quoted scalar")
                || told.starts_with("mapping values");
            let words = match told.split_once(", ") {
                Some((doing, words)) if doing.starts_with("while ") => words,
                _ => told,
            };
            let by = if is_scanned { By::Scanner } else { By::Parser };
            (by, line, words.to_owned())
        }
    }
}

/// For a list or map in brackets that goes on without a comma.
fn unended(text: &str) -> String {
    let mut open = Vec::new();
    for c in text.chars() {
        match c {
            '[' => open.push(']'),
            '{' => open.push('}'),
            ']' | '}' => {
                open.pop();
            }
            _ => {}
        }
    }
    let end = open.last().copied().unwrap_or(']');
    format!("did not find expected ',' or '{end}'")
}

/// Where a column of a line is, both counted from one, in bytes.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let skipped = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut lines = text.split_inclusive('\n');
    let start: usize = lines.by_ref().take(skipped).map(str::len).sum();
    let columns = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = lines.next().unwrap_or_default();
    let within: usize = line.chars().take(columns).map(char::len_utf8).sum();
    start + within
}
