//! What is wrong with a text that is no YAML, in the words of upstream's parser.
//!
//! Upstream tells the line from the second one on: that of the mistake where it takes the text apart into tokens, and the
//! one before where it puts them together. Source: go-yaml `yaml.go`, `parser.fail`.

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use super::tape::DEPTH_MAX;

/// Which part of upstream's parser finds a mistake.
enum By {
    Scanner,
    Parser,
    /// Neither: no line is told.
    Reader,
}

/// What is said of a text.
pub(super) fn of(error: &ScanError, text: &str) -> String {
    let mark = error.marker();
    let (line, column) = (number(mark.line()), number(mark.col()).saturating_add(1));
    let place = Place::new(text, line, column);
    let (by, line, words) = translate(error.kind(), &place);
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

/// For a line before the first document that means nothing in YAML 1.1.
pub(super) fn unknown_directive(text: &str) -> Option<String> {
    let is_before = |line: &&str| !says(line) || line.starts_with('%');
    let is_unknown = |line: &str| {
        let name = line
            .strip_prefix('%')
            .map(|rest| rest.split([' ', '\t']).next());
        name.is_some_and(|name| !matches!(name, Some("YAML" | "TAG")))
    };
    let at = text.lines().take_while(is_before).position(is_unknown)?;
    Some(told_by(&By::Scanner, number(at + 1), NO_DIRECTIVE))
}

/// For a text that says it is of another version of YAML than 1.1.
pub(super) fn incompatible(text: &str) -> String {
    let line = text.lines().take_while(|line| !line.starts_with("%YAML"));
    told_by(&By::Parser, number(line.count() + 1), INCOMPATIBLE)
}

pub(super) const TAB_VIOLATES: &str = "found a tab character that violates indentation";
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

/// Where in a text a mistake has been found.
struct Place<'a> {
    text: &'a str,
    before: &'a str,
    /// What begins with the mistake.
    rest: &'a str,
    line: u64,
}

impl<'a> Place<'a> {
    fn new(text: &'a str, line: u64, column: u64) -> Self {
        let (before, rest) = text
            .split_at_checked(offset(text, line, column))
            .unwrap_or((text, ""));
        Self {
            text,
            before,
            rest,
            line,
        }
    }

    /// The line of the place up to it, and the last one above that says something.
    fn lines(&self) -> (&'a str, Option<&'a str>) {
        let (above, line) = self.before.rsplit_once('\n').unwrap_or(("", self.before));
        (line, above.lines().rev().find(|line| says(line)))
    }

    /// The line that upstream's scanner has come to when it takes what is here for no key: past what is blank behind text
    /// without quotes, and past comments too behind all else. At the end of the text it is the one after the last.
    fn next_line(&self) -> u64 {
        let first = self.rest.lines().next().unwrap_or_default();
        let is_plain =
            !first.starts_with(['[', '{', '"', '\'', '&', '*', '!']) && !first.contains(" #");
        let is_passed = |line: &&str| {
            if is_plain {
                line.trim().is_empty()
            } else {
                !says(line)
            }
        };
        let lines = self.rest.split('\n').skip(1).take_while(is_passed);
        let skipped = u64::try_from(lines.count()).unwrap_or(u64::MAX);
        let is_ended = self.text.is_empty() || self.text.ends_with('\n');
        let last = ends(self.text) + 1 + u64::from(!is_ended);
        self.line
            .saturating_add(1)
            .saturating_add(skipped)
            .min(last)
    }
}

/// Whether there is more in a line than a comment.
fn says(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn ends(text: &str) -> u64 {
    number(text.matches('\n').count())
}

const NO_CONTENT: &str = "did not find expected node content";
const NO_KEY: &str = "did not find expected key";
const NO_COLON: &str = "could not find expected ':'";
const NO_END: &str = "found unexpected end of stream";
const NO_DIRECTIVE: &str = "found unknown directive name";

/// Who finds it upstream, in which line, and what is said.
fn translate(kind: &ErrorKind, place: &Place<'_>) -> (By, u64, String) {
    let (text, line) = (place.text, place.line);
    let said = |by: By, line: u64, words: &str| (by, line, words.to_owned());
    match kind {
        ErrorKind::UnclosedFlowCollection { .. } => {
            let end = ends(text) + u64::from(!text.ends_with('\n')) + 1;
            let words = match text.trim_end().chars().last() {
                Some('[' | '{' | ',' | ':') | None => NO_CONTENT.to_owned(),
                Some(_) => unended(text),
            };
            (By::Parser, end, words)
        }
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => {
            said(By::Scanner, line, NO_TOKEN)
        }
        ErrorKind::TabInPlainScalar => said(By::Scanner, line + 1, TAB_VIOLATES),
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            said(By::Reader, line, "control characters are not allowed")
        }
        ErrorKind::UnexpectedCharacter { .. } => said(By::Scanner, line, NO_TOKEN),
        ErrorKind::InvalidColonPlacement | ErrorKind::FlowMappingValueAdjacentCollection => {
            (By::Parser, line, unended(place.before))
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, .. } => {
            (By::Parser, line, unended(&open.to_string()))
        }
        ErrorKind::UnknownAnchor => {
            let name = place.rest.chars().skip(1);
            let name: String = name
                .take_while(|c| c.is_alphanumeric() || "_-".contains(*c))
                .collect();
            (
                By::Reader,
                line,
                format!("unknown anchor '{name}' referenced"),
            )
        }
        ErrorKind::UnclosedQuotedScalar => said(By::Scanner, ends(text) + 1, NO_END),
        ErrorKind::InvalidQuotedScalarIndent => ended_elsewhere(place),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            let (line_text, _) = place.lines();
            let (prefix, _) = line_text.split_once(['"', '\'']).unwrap_or((line_text, ""));
            (By::Parser, line, goes_on(place.before, prefix))
        }
        ErrorKind::InvalidQuotedScalarHexEscape => {
            // Upstream's spelling.
            said(By::Scanner, line, "did not find expected hexdecimal number")
        }
        ErrorKind::SimpleKeyExpected => said(By::Scanner, place.next_line(), NO_COLON),
        ErrorKind::CommentInterceptedScalar => {
            let (line_text, _) = place.lines();
            let mark = line_text.get(..line_text.len().min(indent(line_text) + 1));
            let words = goes_on(place.before, mark.unwrap_or_default());
            (By::Parser, place.next_line(), words)
        }
        ErrorKind::BlockEntryInFlowCollection => mark_in_brackets(place),
        ErrorKind::MisplacedFlowCollectionEnd => {
            let (prefix, above) = place.lines();
            let is_left = above.is_some_and(|above| indent(above) > prefix.len());
            let is_key = prefix.trim().is_empty() && is_left;
            said(By::Parser, line, if is_key { NO_KEY } else { NO_CONTENT })
        }
        _ => translate_other(kind, place),
    }
}

/// The mistakes that are much the same upstream.
fn translate_other(kind: &ErrorKind, place: &Place<'_>) -> (By, u64, String) {
    let (told, line) = (kind.to_string(), place.line);
    let said = |by: By, words: &str| (by, line, words.to_owned());
    if told.starts_with("unexpected EOF") {
        return said(By::Parser, NO_CONTENT);
    }
    if told.contains(" surrogate") {
        return said(By::Scanner, NO_CHARACTER);
    }
    match kind {
        ErrorKind::RecursionLimitExceeded => {
            let words = format!("exceeded max depth of {DEPTH_MAX}");
            (By::Reader, line, words)
        }
        ErrorKind::UnsupportedYamlMajorVersion => said(By::Parser, INCOMPATIBLE),
        ErrorKind::MissingDocumentEndBeforeDirective => said(By::Scanner, NO_DIRECTIVE),
        ErrorKind::ExpectedDocumentStart if place.text.starts_with('%') => {
            said(By::Scanner, NO_DIRECTIVE)
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::MappingValueNotAllowed => {
            said(By::Scanner, &told)
        }
        _ => {
            let is_scanned = told.starts_with("while scanning") || told.contains("quoted scalar");
            let words = match told.split_once(", ") {
                Some((doing, words)) if doing.starts_with("while ") => words,
                _ => &told,
            };
            said(if is_scanned { By::Scanner } else { By::Parser }, words)
        }
    }
}

/// For text in quotes that is not ended where it should be: at the next quote the parser wonders how it goes on.
fn ended_elsewhere(place: &Place<'_>) -> (By, u64, String) {
    let opens = |(at, _): &(usize, &str)| {
        let before = place.before.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with([' ', '\t', '\n', '[', '{', ',', ':'])
    };
    let opening = place.before.rmatch_indices(['"', '\'']).find(opens);
    let (start, quote) = opening.unwrap_or((place.before.len(), "\""));
    let Some(closing) = closing_quote(place.rest, quote) else {
        return (By::Scanner, ends(place.text) + 1, NO_END.to_owned());
    };
    let (within, after) = place.rest.split_at_checked(closing).unwrap_or_default();
    let line = place.line + ends(within);
    let after = after.get(1..).unwrap_or_default();
    let after = after.lines().next().unwrap_or_default();
    if after.trim_start().starts_with(':') {
        let words = "mapping values are not allowed in this context";
        return (By::Scanner, line, words.to_owned());
    }
    let before = place.before.get(..start).unwrap_or_default();
    let prefix = before.rsplit('\n').next().unwrap_or_default();
    (By::Parser, line, goes_on(before, prefix))
}

/// Where the first quote is that ends a text.
fn closing_quote(text: &str, quote: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == "\"" => {
                chars.next();
            }
            '\'' if quote == "'" && chars.next_if(|(_, next)| *next == '\'').is_some() => {}
            c if quote.starts_with(c) => return Some(at),
            _ => {}
        }
    }
    None
}

/// For a value after which there is more in its line; `prefix` is what stands before it there.
fn goes_on(before: &str, prefix: &str) -> String {
    if !open_brackets(before).is_empty() {
        unended(before)
    } else if prefix.trim_end().ends_with('-') {
        "did not find expected '-' indicator".to_owned()
    } else {
        NO_KEY.to_owned()
    }
}

/// For the mark of a list's item in brackets, as in templates that nobody has filled in: where a key must stand, the
/// scanner is first to wonder.
fn mark_in_brackets(place: &Place<'_>) -> (By, u64, String) {
    let (line, above) = place.lines();
    let is_key =
        above.is_some_and(|above| !above.trim_end().ends_with(':') || indent(above) > indent(line));
    if is_key && line.trim_start().starts_with(['[', '{']) {
        (By::Scanner, place.next_line(), NO_COLON.to_owned())
    } else {
        (By::Parser, place.line, NO_CONTENT.to_owned())
    }
}

/// For a list or map in brackets that goes on without a comma.
fn unended(text: &str) -> String {
    let end = open_brackets(text).pop().unwrap_or(']');
    format!("did not find expected ',' or '{end}'")
}

/// What would close the brackets that are open at the end of a text.
fn open_brackets(text: &str) -> Vec<char> {
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
    open
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

#[cfg(test)]
mod tests {
    use crate::yaml::read;

    fn check(cases: &[(&str, &str)]) {
        for (text, words) in cases {
            let told = read(text.as_bytes()).err();
            assert_eq!(told, Some(format!("yaml: {words}")), "{text}");
        }
    }

    /// Helm's templates as they are, which is what many send first.
    #[test]
    fn templates_that_nobody_has_filled_in_are_refused_in_upstreams_words() {
        check(&[
            (
                "a: {{ .x }}\n",
                "invalid map key: map[interface {}]interface {}{\".x\":interface {}(nil)}",
            ),
            (
                "a: {{ .x | quote }}\n",
                "invalid map key: map[interface {}]interface {}{\".x | quote\":interface {}(nil)}",
            ),
            ("a: {{ .x }}-y\n", "did not find expected key"),
            ("{{- if x }}\na: b\n", "did not find expected node content"),
            ("a: {{- x }}\n", "did not find expected node content"),
            (
                "a:\n  {{- include x }}\n",
                "line 1: did not find expected node content",
            ),
            (
                "a: b\n{{- if x }}\n\nc: d\n",
                "line 4: could not find expected ':'",
            ),
            (
                "a: b\n{{ if x }}\nc: d\n",
                "line 3: could not find expected ':'",
            ),
        ]);
    }

    #[test]
    fn quotes_that_end_elsewhere_are_told_where_the_text_does_not_go_on() {
        check(&[
            ("a: \"b\nc: d\n", "line 3: found unexpected end of stream"),
            ("a: 'b\n", "line 2: found unexpected end of stream"),
            ("a: \"b\nc: \"d\"\n", "line 1: did not find expected key"),
            (
                "- 'a\n- 'b'\n",
                "line 1: did not find expected '-' indicator",
            ),
            ("a: 'it's'\n", "did not find expected key"),
            ("- \"x\" y\n", "did not find expected '-' indicator"),
            ("{\"a\" 1}", "did not find expected ',' or '}'"),
            ("[\"a\" 1]", "did not find expected ',' or ']'"),
        ]);
    }

    #[test]
    fn lines_are_those_that_upstream_tells() {
        check(&[
            (
                "a:\n  b: - c\n",
                "line 2: block sequence entries are not allowed in this context",
            ),
            ("a: b\nc", "line 3: could not find expected ':'"),
            (
                "a: b\nc\n\n# d\ne: f\n",
                "line 4: could not find expected ':'",
            ),
            ("a:\n  b:\n ]\n", "line 2: did not find expected key"),
            (
                "a:\n  b\n\tc: d\n",
                "line 3: found a tab character that violates indentation",
            ),
            (
                "a: b\n\t\nc",
                "line 2: found a tab character that violates indentation",
            ),
            ("a:\n  b # c\n  d: e\n", "line 2: did not find expected key"),
            ("{a: [b}\n", "did not find expected ',' or ']'"),
            ("a: b\n%c\n", "line 2: found unknown directive name"),
            ("%c\n---\na: b\n", "found unknown directive name"),
            (
                "{\"a\": 1,, \"b\": 2}",
                "did not find expected node content",
            ),
        ]);
    }
}
