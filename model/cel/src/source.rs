//! The text of an expression, places in it, and what is wrong at them. Source: cel-go `common/source.go`, `errors.go`.

use std::fmt;

/// Most mistakes told of one expression. Source: `maxErrorsToReport`.
const MISTAKES_MAX: usize = 100;
/// Longest line shown with a mistake, in characters. Source: `maxSnippetLength`.
const SNIPPET_CHARS_MAX: usize = 16_384;

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counted from 1; -1 when there is no place.
    pub line: i64,
    /// Counted from 0; -1 when there is no place.
    pub column: i64,
}

/// No place in particular.
pub(crate) const NOWHERE: Place = Place {
    line: -1,
    column: -1,
};

/// Where something is that could not be read.
pub(crate) const UNREAD: usize = usize::MAX;

/// The text of an expression.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its characters.
    pub(crate) chars: Vec<char>,
    /// Where its lines begin.
    lines: Vec<usize>,
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let ends = chars.iter().enumerate().filter(|(_, c)| **c == '\n');
        let lines = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Self { chars, lines }
    }
    /// The characters of a range as text.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> String {
        let end = range.end.min(self.chars.len());
        let chars = self.chars.get(range.start.min(end)..end);
        chars.unwrap_or_default().iter().collect()
    }
    /// The place of a character.
    pub(crate) fn place(&self, at: usize) -> Place {
        if at == UNREAD {
            return Place {
                line: 1,
                column: -1,
            };
        }
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line.saturating_sub(1)).copied();
        Place {
            line: number(line),
            column: number(at - start.unwrap_or_default()),
        }
    }
    fn line(&self, line: i64) -> Option<String> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *self.lines.get(index)?;
        let end = self
            .lines
            .get(index + 1)
            .map_or(self.chars.len(), |end| end - 1);
        (!self.chars.is_empty()).then(|| self.slice(start..end))
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What.
    pub message: String,
}

/// What is wrong with an expression, in the order of its text.
#[derive(Debug)]
pub struct Mistakes {
    all: Vec<Mistake>,
    count: usize,
    source: Source,
}

impl Mistakes {
    pub(crate) fn new(mut all: Vec<Mistake>, source: Source) -> Self {
        let count = all.len();
        all.truncate(MISTAKES_MAX);
        all.sort_by_key(|mistake| mistake.place);
        Self { all, count, source }
    }
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.all.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.all.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            show(mistake, &self.source, f)?;
        }
        if self.count > MISTAKES_MAX {
            write!(
                f,
                "\n{} more errors were truncated",
                self.count - MISTAKES_MAX
            )?;
        }
        Ok(())
    }
}

/// The mistake, the line it is in and a mark below. Source: `ToDisplayString`.
fn show(mistake: &Mistake, source: &Source, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Place { line, column } = mistake.place;
    write!(
        f,
        "ERROR: <input>:{line}:{}: {}",
        column + 1,
        mistake.message
    )?;
    let Some(text) = source.line(line) else {
        return Ok(());
    };
    if text.len() > SNIPPET_CHARS_MAX {
        return Ok(());
    }
    let text = text.replace('\t', " ");
    let mut chars = text.chars();
    let mut mark = String::new();
    for c in chars
        .by_ref()
        .take(usize::try_from(column).unwrap_or_default())
    {
        mark.push(if c.is_ascii() { '.' } else { '\u{ff0e}' });
    }
    let is_wide = chars.next().is_some_and(|c| !c.is_ascii());
    mark.push(if is_wide { '\u{ff3e}' } else { '^' });
    write!(f, "\n | {text}\n | {mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_shown_below_their_line() {
        let source = Source::new("a &&\n\u{e4}b");
        let mistakes = [(8, "late"), (2, "early")].map(|(at, message)| Mistake {
            place: source.place(at.min(6)),
            message: message.into(),
        });
        assert_eq!(
            Mistakes::new(mistakes.into(), source).to_string(),
            "ERROR: <input>:1:3: early\n | a &&\n | ..^\nERROR: <input>:2:2: late\n | \u{e4}b\n | \u{ff0e}^"
        );
    }
}
