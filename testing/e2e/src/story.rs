//! Stories: a shell session as text, told to a server and compared with what the text says.
//!
//! A step is a line `$ command`, with `> ` before each further line of it, then what it prints on either output, then
//! `[exit N]` if it fails. `## ` opens a remark. In what is printed, `{word}` stands for anything without a blank, and a
//! line `...` for any number of lines. `UPDATE=1` writes down what was printed where it was not expected.

use std::path::Path;

use anyhow::{Result, bail};

/// One command of a story.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The remarks and blank lines before it.
    pub remarks: Vec<String>,
    /// What the shell is given.
    pub command: String,
    /// What it is to print, line by line.
    pub expected: Vec<String>,
}

/// The steps of a story.
pub fn read(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut remarks = Vec::new();
    for line in text.lines() {
        let is_open = remarks.is_empty();
        match (line.split_at_checked(2), steps.last_mut()) {
            (Some(("$ ", command)), _) => steps.push(Step {
                remarks: std::mem::take(&mut remarks),
                command: command.to_owned(),
                expected: Vec::new(),
            }),
            (
                Some(("> ", more)),
                Some(Step {
                    command, expected, ..
                }),
            ) if expected.is_empty() => {
                command.push('\n');
                command.push_str(more);
            }
            (_, Some(step)) if is_open && !line.starts_with("## ") => {
                step.expected.push(line.to_owned());
            }
            _ => remarks.push(line.to_owned()),
        }
    }
    for step in &mut steps {
        while step.expected.last().is_some_and(String::is_empty) {
            step.expected.pop();
        }
    }
    steps
}

/// What client-go's reflector logs when the time that its user gave it is up just as a watch ended and it watches again
/// (client-go/tools/watch/informerwatcher.go): whether it does is a race within the client, whatever the server.
const LOST_RACE: &str = "\"Failed to watch\" err=\"context deadline exceeded\"";

/// What was printed, without blanks and blank lines at ends, and without what the client logs by chance.
pub fn lines(printed: &str) -> Vec<String> {
    let lines = printed.trim_end().lines();
    let lines = lines.filter(|line| !line.contains(LOST_RACE));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// A story as it is written down.
pub fn written(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let remarks = step.remarks.iter().map(String::as_str);
        let blank = (!text.is_empty() && !step.remarks.is_empty()).then_some("");
        let command = format!("$ {}", step.command.replace('\n', "\n> "));
        let expected = step.expected.iter().map(String::as_str);
        for line in blank
            .into_iter()
            .chain(remarks)
            .chain([command.as_str()])
            .chain(expected)
        {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Whether printed lines are the expected ones.
pub fn is_as_expected(expected: &[String], printed: &[String]) -> bool {
    match (expected, printed) {
        ([], []) => true,
        ([any, rest @ ..], _) if any == "..." => (0..=printed.len())
            .any(|from| is_as_expected(rest, printed.get(from..).unwrap_or_default())),
        ([line, expected @ ..], [other, printed @ ..]) => {
            is_line(line, other) && is_as_expected(expected, printed)
        }
        _ => false,
    }
}

/// Whether a line is the expected one. Columns move, so that several blanks within a line are as good as one.
fn is_line(expected: &str, printed: &str) -> bool {
    let in_columns = |line: &str| {
        let text = line.trim_start();
        let words: Vec<&str> = text.split_whitespace().collect();
        line.replacen(text, &words.join(" "), usize::from(!text.is_empty()))
    };
    is_text(&in_columns(expected), &in_columns(printed))
}

fn is_text(expected: &str, printed: &str) -> bool {
    let Some((before, after)) = placeholder(expected, |before, after| {
        (before.to_owned(), after.to_owned())
    }) else {
        return expected == printed;
    };
    let Some(rest) = printed.strip_prefix(before.as_str()) else {
        return false;
    };
    let word = rest.find(' ').unwrap_or(rest.len());
    let ends = rest.char_indices().map(|(at, each)| at + each.len_utf8());
    ends.take_while(|end| *end <= word)
        .any(|end| is_text(&after, &rest[end..]))
}

/// What stands before and after the first `{word}`.
fn placeholder<T>(line: &str, found: impl Fn(&str, &str) -> T) -> Option<T> {
    let mut from = 0;
    while let Some(open) = line[from..].find('{').map(|at| from + at) {
        let close = line[open..].find('}').map(|at| open + at)?;
        let word = &line[open + 1..close];
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Some(found(&line[..open], &line[close + 1..]));
        }
        from = open + 1;
    }
    None
}

/// What differs from the story, in words; the story as it went is written down on `UPDATE=1`.
///
/// # Errors
/// Something differs, or the file cannot be written.
pub fn judge(path: &Path, told: &[(Step, Vec<String>)]) -> Result<()> {
    let mut complaints: Vec<String> = Vec::new();
    let mut steps = Vec::new();
    for (step, printed) in told {
        let mut step = step.clone();
        if !is_as_expected(&step.expected, printed) {
            complaints.extend([
                format!("$ {}", step.command),
                "--- expected".to_owned(),
                step.expected.join("\n"),
                "--- printed".to_owned(),
                printed.join("\n"),
                String::new(),
            ]);
            step.expected.clone_from(printed);
        }
        steps.push(step);
    }
    if complaints.is_empty() {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, written(&steps))?;
        return Ok(());
    }
    bail!(
        "{} goes otherwise:\n{}",
        path.display(),
        complaints.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: &str =
        "## Opens.\n$ one <<END\n> two\n> END\n# printed\n\nmore\n\n## Then.\n$ three\n[exit 1]\n";

    #[test]
    fn what_a_client_logs_by_chance_is_no_line() {
        let printed = "gone \nE1128 1 reflector.go:227] \"Failed to watch\" err=\"context deadline exceeded\" a=\"b\"\n\
                       E1128 1 reflector.go:227] \"Failed to watch\" err=\"refused\"\n\n";
        assert_eq!(
            lines(printed),
            [
                "gone",
                "E1128 1 reflector.go:227] \"Failed to watch\" err=\"refused\""
            ]
        );
    }

    #[test]
    fn a_story_is_written_as_it_was_read() {
        let steps = read(STORY);
        assert_eq!(steps[0].command, "one <<END\ntwo\nEND");
        assert_eq!(steps[0].expected, ["# printed", "", "more"]);
        assert_eq!(steps[1].remarks, ["## Then."]);
        assert_eq!(written(&steps), STORY);
    }

    #[test]
    fn words_and_lines_may_be_left_open() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let matches = |expected, printed| is_as_expected(&lines(expected), &lines(printed));
        assert!(matches("pod/{name} made", "pod/web-1   made"));
        assert!(matches("a\n...\nz", "a\nb\nc\nz") && matches("a\n...", "a"));
        assert!(!matches("pod/{name} made", "pod/ made") && !matches("{age}", "one two"));
        assert!(matches("a  b", "a   b") && !matches("  a", "a"));
        assert!(matches("{}", "{}") && !matches("{}", "x"));
    }
}
