//! CSV as Go's `encoding/csv` reads it: a quote stands around a whole cell, or doubled within one; nothing is a comment,
//! and no space is taken away.
//!
//! The `csv` crate takes what Go refuses, so that a file that is damaged would be somebody's tokens.

use super::TokenFileError;

/// A line of cells.
pub(super) struct Record {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) cells: Vec<String>,
}

/// The lines of a text, without their ends.
struct Lines<'a> {
    rest: &'a str,
    /// Of the last one, counted from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line, and whether its end is there.
    fn next(&mut self) -> Option<(&'a str, bool)> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let has_end = line.len() < self.rest.len();
        self.rest = rest;
        Some((line.strip_suffix('\r').unwrap_or(line), has_end))
    }
}

/// The records of a text; empty lines are none.
///
/// # Errors
/// The first quote that is not where one may be.
pub(super) fn records(text: &str) -> Result<Vec<Record>, TokenFileError> {
    let mut lines = Lines {
        rest: text,
        number: 0,
    };
    let mut records = Vec::new();
    while let Some((line, has_end)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let number = lines.number;
        let cells = cells(line, has_end, &mut lines);
        let cells = cells.map_err(|why| TokenFileError::Syntax { line: number, why })?;
        records.push(Record {
            line: number,
            cells,
        });
    }
    Ok(records)
}

/// The cells of a record, which goes on in further lines where the end of one is quoted.
fn cells<'a>(
    mut line: &'a str,
    mut has_end: bool,
    lines: &mut Lines<'a>,
) -> Result<Vec<String>, &'static str> {
    let mut cells = Vec::new();
    loop {
        let Some(mut quoted) = line.strip_prefix('"') else {
            let (cell, rest) = line.split_once(',').unwrap_or((line, ""));
            if cell.contains('"') {
                return Err("bare \" in non-quoted-field");
            }
            cells.push(cell.to_owned());
            if cell.len() == line.len() {
                return Ok(cells);
            }
            line = rest;
            continue;
        };
        let misplaced = "extraneous or missing \" in quoted-field";
        let mut cell = String::new();
        let rest = loop {
            if let Some((inner, rest)) = quoted.split_once('"') {
                cell.push_str(inner);
                let Some(further) = rest.strip_prefix('"') else {
                    break rest;
                };
                cell.push('"');
                quoted = further;
            } else {
                cell.push_str(quoted);
                if has_end {
                    cell.push('\n');
                }
                (quoted, has_end) = lines.next().ok_or(misplaced)?;
            }
        };
        cells.push(cell);
        if rest.is_empty() {
            return Ok(cells);
        }
        line = rest.strip_prefix(',').ok_or(misplaced)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records as Go prints them, or what is wrong.
    fn read(text: &str) -> Result<Vec<Vec<String>>, String> {
        let records = records(text).map_err(|error| error.to_string())?;
        Ok(records.into_iter().map(|record| record.cells).collect())
    }

    #[test]
    fn cells_are_read_as_go_reads_them() {
        let cases: &[(&str, &[&[&str]])] = &[
            ("", &[]),
            ("\n\r\n\n", &[]),
            ("a,b\nc", &[&["a", "b"], &["c"]]),
            ("a,b\r\nc\r", &[&["a", "b"], &["c"]]),
            ("a\rb\n", &[&["a\rb"]]),
            (",\n", &[&["", ""]]),
            (" a , b\n", &[&[" a ", " b"]]),
            (" \n#a,b\n", &[&[" "], &["#a", "b"]]),
            ("\u{feff}a\n", &[&["\u{feff}a"]]),
            ("\"a,b\",\"\"\n", &[&["a,b", ""]]),
            ("\"a\"\"b\"\"\"", &[&["a\"b\""]]),
            ("\"a\r\nb\n\nc\",d\ne", &[&["a\nb\n\nc", "d"], &["e"]]),
            ("a,\"b\",", &[&["a", "b", ""]]),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text).unwrap(), *wanted, "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_where_one_may_be_is_told_with_its_line() {
        let bare = "line 2 is no CSV: bare \" in non-quoted-field";
        let misplaced = "line 2 is no CSV: extraneous or missing \" in quoted-field";
        for (text, why) in [
            ("a\nb\"c\n", bare),
            ("a\n \"b\"\n", bare),
            ("a\nb,c\"\n", bare),
            ("a\n\"b\"c\n", misplaced),
            ("a\n\"b\" ,c\n", misplaced),
            ("a\n\"b\n\nc", misplaced),
            ("a\n\"", misplaced),
            ("a\n\"b\n", misplaced),
        ] {
            assert_eq!(read(text), Err(why.to_owned()), "{text:?}");
        }
    }
}
