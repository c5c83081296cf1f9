//! What changed between two structs, as upstream shows it in errors: a unified diff of their indented JSON.
//!
//! The matching is Ratcliff and Obershelp's, with lines that are too frequent left out of the search.
//! Source: apimachinery `diff.Diff` and the difflib that it uses.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::{self, Field, internal};

/// Unchanged lines shown around a change.
const CONTEXT_LINES: usize = 3;
/// From so many lines on, frequent ones are left out of the search.
const FREQUENT_LINES_MIN: usize = 200;
/// More lines are not compared, since the time grows with their square.
const LINES_MAX: usize = 20_000;

/// What changed between two values of a built-in type; empty when the type is unknown.
pub(crate) fn of(type_name: &str, old: &Value, new: &Value) -> String {
    of_fields(type_name, old, new, |_| true)
}

/// What changed between two values, in some of their fields.
pub(crate) fn of_fields(
    type_name: &str,
    old: &Value,
    new: &Value,
    wanted: impl Fn(&Field) -> bool,
) -> String {
    let Some(schema) = schema::builtin(type_name) else {
        return String::new();
    };
    let text = |value| internal::indented(&schema.graph, &schema.ty, value, &wanted);
    unified(&text(old), &text(new))
}

/// A run of equal lines.
#[derive(Clone, Copy)]
struct Match {
    old: usize,
    new: usize,
    lines: usize,
}

/// A step from old to new: lines of the one that become lines of the other, or (`is_equal`) stay.
#[derive(Clone)]
struct Step {
    is_equal: bool,
    old: std::ops::Range<usize>,
    new: std::ops::Range<usize>,
}

fn unified(old: &str, new: &str) -> String {
    let old: Vec<&str> = old.split('\n').collect();
    let new: Vec<&str> = new.split('\n').collect();
    if old.len().max(new.len()) > LINES_MAX {
        return String::new();
    }
    let mut text = String::new();
    for group in groups(&steps(&old, &new)) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let shown = (
            range(&(first.old.start..last.old.end)),
            range(&(first.new.start..last.new.end)),
        );
        text.extend(["@@ -", &shown.0, " +", &shown.1, " @@\n"]);
        for step in &group {
            let mut put = |mark: char, lines: Option<&[&str]>| {
                for line in lines.unwrap_or_default() {
                    text.push(mark);
                    text.push_str(line);
                    text.push('\n');
                }
            };
            if step.is_equal {
                put(' ', old.get(step.old.clone()));
            } else {
                put('-', old.get(step.old.clone()));
                put('+', new.get(step.new.clone()));
            }
        }
    }
    text
}

/// Where a group of lines is; an empty one is said to start a line earlier.
fn range(lines: &std::ops::Range<usize>) -> String {
    match lines.len() {
        1 => (lines.start + 1).to_string(),
        0 => format!("{},0", lines.start),
        count => format!("{},{count}", lines.start + 1),
    }
}

/// All steps, in order.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut i, mut j) = (0, 0);
    let end = Match {
        old: old.len(),
        new: new.len(),
        lines: 0,
    };
    for found in matches(old, new).into_iter().chain([end]) {
        if i < found.old || j < found.new {
            steps.push(Step {
                is_equal: false,
                old: i..found.old,
                new: j..found.new,
            });
        }
        (i, j) = (found.old + found.lines, found.new + found.lines);
        match steps.last_mut() {
            // Adjacent runs are one.
            Some(last) if last.is_equal => (last.old.end, last.new.end) = (i, j),
            _ if found.lines > 0 => steps.push(Step {
                is_equal: true,
                old: found.old..i,
                new: found.new..j,
            }),
            _ => {}
        }
    }
    steps
}

/// The longest run first, then what lies on either side of it; in order.
fn matches(old: &[&str], new: &[&str]) -> Vec<Match> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, line) in new.iter().enumerate() {
        places.entry(line).or_default().push(index);
    }
    if new.len() >= FREQUENT_LINES_MIN {
        places.retain(|_, at| at.len() <= new.len() / 100 + 1);
    }
    let mut found = Vec::new();
    let mut open = vec![(0..old.len(), 0..new.len())];
    while let Some((olds, news)) = open.pop() {
        let best = longest(old, new, &places, &olds, &news);
        if best.lines == 0 {
            continue;
        }
        found.push(best);
        if olds.start < best.old && news.start < best.new {
            open.push((olds.start..best.old, news.start..best.new));
        }
        let (after_old, after_new) = (best.old + best.lines, best.new + best.lines);
        if after_old < olds.end && after_new < news.end {
            open.push((after_old..olds.end, after_new..news.end));
        }
    }
    found.sort_by_key(|found| found.old);
    found
}

/// The longest run of equal lines, the earliest of several.
fn longest(
    old: &[&str],
    new: &[&str],
    places: &BTreeMap<&str, Vec<usize>>,
    olds: &std::ops::Range<usize>,
    news: &std::ops::Range<usize>,
) -> Match {
    let mut best = Match {
        old: olds.start,
        new: news.start,
        lines: 0,
    };
    // How long the runs are that end at each line of the new text.
    let mut runs: BTreeMap<usize, usize> = BTreeMap::new();
    for i in olds.clone() {
        let mut next = BTreeMap::new();
        let at = old.get(i).and_then(|line| places.get(line));
        let at = at.into_iter().flatten().copied();
        for j in at.filter(|j| news.contains(j)) {
            let before = j.checked_sub(1).and_then(|j| runs.get(&j));
            let lines = before.copied().unwrap_or_default() + 1;
            next.insert(j, lines);
            if lines > best.lines {
                best = Match {
                    old: i + 1 - lines,
                    new: j + 1 - lines,
                    lines,
                };
            }
        }
        runs = next;
    }
    while best.old > olds.start
        && best.new > news.start
        && old.get(best.old - 1) == new.get(best.new - 1)
    {
        best = Match {
            old: best.old - 1,
            new: best.new - 1,
            lines: best.lines + 1,
        };
    }
    let end = |best: &Match| (best.old + best.lines, best.new + best.lines);
    while end(&best).0 < olds.end
        && end(&best).1 < news.end
        && old.get(end(&best).0) == new.get(end(&best).1)
    {
        best.lines += 1;
    }
    best
}

/// The steps with little of what is equal around each.
fn groups(steps: &[Step]) -> Vec<Vec<Step>> {
    let mut groups = Vec::new();
    let mut group: Vec<Step> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        if !step.is_equal {
            group.push(step.clone());
            continue;
        }
        let lines = step.old.len();
        let (is_first, is_last) = (index == 0, index + 1 == steps.len());
        let part = |from: usize, to: usize| Step {
            is_equal: true,
            old: step.old.start + from..step.old.start + to,
            new: step.new.start + from..step.new.start + to,
        };
        let tail = lines.saturating_sub(CONTEXT_LINES);
        if is_first {
            group.push(part(tail, lines));
        } else if is_last {
            group.push(part(0, lines.min(CONTEXT_LINES)));
        } else if lines > 2 * CONTEXT_LINES {
            group.push(part(0, CONTEXT_LINES));
            groups.push(std::mem::take(&mut group));
            group.push(part(tail, lines));
        } else {
            group.push(step.clone());
        }
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|step| !step.is_equal));
    groups
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn a_changed_line_has_three_lines_around_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh";
        let new = "a\nb\nc\nd\nE\nf\ng\nh";
        assert_eq!(
            unified(old, new),
            "@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n h\n"
        );
    }

    #[test]
    fn changes_far_apart_are_told_apart() {
        let lines: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let old = lines.join("\n");
        let new = old.replace("\n2\n", "\n2\nx\n").replace("\n27\n", "\n");
        assert_eq!(
            unified(&old, &new),
            "@@ -1,6 +1,7 @@\n 0\n 1\n 2\n+x\n 3\n 4\n 5\n@@ -25,6 +26,5 @@\n 24\n 25\n 26\n-27\n 28\n 29\n"
        );
    }

    #[test]
    fn frequent_lines_are_no_reason_to_match() {
        let old: Vec<String> = (0..300).map(|n| format!("{}", n % 2)).collect();
        let mut new = old.clone();
        new.insert(0, "x".into());
        let shown = unified(&old.join("\n"), &new.join("\n"));
        assert!(shown.starts_with("@@ -1,300 +1,301 @@\n-0\n"), "{shown}");
    }
}
