//! Rules for single source files: size, opening docs, purity, words that must not stand.

use std::path::{Path, PathBuf};

use super::Tree;

/// Longest file, in lines before its tests.
const LINES_MAX: usize = 600;
/// Files that may be longer, with the reason.
const LONG: &[(&str, &str)] = &[];
/// Generated sources.
const GENERATED: &str = "/generated/";
/// Words that decisions and models must not contain, with the reason.
const IMPURE: &[(&str, &str)] = &[
    ("tokio::", "no async"),
    ("async fn", "no async"),
    ("std::fs", "no files"),
    ("std::env", "no environment"),
    ("std::net::Tcp", "no sockets"),
    ("Timestamp::now", "no clock: time is an argument"),
    ("SystemTime::now", "no clock: time is an argument"),
    ("Instant::now", "no clock: time is an argument"),
    ("HashMap", "no unordered maps"),
    ("HashSet", "no unordered sets"),
    ("tracing::", "no logging"),
];

/// Complaints about single files.
pub(super) fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, content) in tree.rust() {
        let shown = path.display().to_string();
        if shown.contains(GENERATED) {
            continue;
        }
        let body = before_tests(content);
        let lines = body.lines().count();
        if lines > LINES_MAX && !LONG.iter().any(|(long, _)| *long == shown) && !is_test(path) {
            complaints.push(format!(
                "{shown}: {lines} lines before its tests; the cap is {LINES_MAX}"
            ));
        }
        if !content.trim_start().starts_with("//!") && !content.starts_with("#!") && !is_test(path)
        {
            complaints.push(format!(
                "{shown}: opens without a `//!` that says what it answers"
            ));
        }
        if let Some(line) = content
            .lines()
            .position(|line| line.contains("TODO") || line.contains("FIXME"))
            && !shown.starts_with("xtask/")
        {
            complaints.push(format!("{shown}:{}: unfinished mark", line + 1));
        }
        if let Some(line) = body.lines().position(|line| !is_plain(&shown, line)) {
            complaints.push(format!(
                "{shown}:{}: source is ASCII; texts in other scripts are data files",
                line + 1
            ));
        }
        if shown.starts_with("decide/") || shown.starts_with("model/") {
            complaints.extend(impure(&shown, body));
        }
        if is_dead(tree, path) {
            complaints.push(format!("{shown}: no `mod` line names this file"));
        }
    }
    complaints
}

fn before_tests(content: &str) -> &str {
    content.split("\n#[cfg(test)]").next().unwrap_or(content)
}

/// Test modules that are not named `tests`.
const TEST_MODULES: &[&str] = &["model/kinds/src/recordings.rs"];

fn is_test(path: &Path) -> bool {
    let is_named = |part: std::path::Component<'_>| {
        matches!(
            part.as_os_str().to_str(),
            Some("tests" | "tests.rs" | "testing.rs")
        )
    };
    path.components().any(is_named) || TEST_MODULES.iter().any(|known| path == Path::new(known))
}

fn impure(shown: &str, body: &str) -> Vec<String> {
    if is_test(Path::new(shown)) || shown.ends_with("build.rs") {
        return Vec::new();
    }
    let code = body
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter_map(|(at, line)| {
        let (_, why) = IMPURE.iter().find(|(word, _)| line.contains(word))?;
        Some(format!(
            "{shown}:{}: {why} in {}",
            at + 1,
            shown.split('/').next().unwrap_or_default()
        ))
    })
    .collect()
}

/// Whether a module file is named by no `mod` line of its parent.
fn is_dead(tree: &Tree, path: &Path) -> bool {
    let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
        return false;
    };
    let Some(directory) = path.parent() else {
        return false;
    };
    let in_source = path.components().any(|part| part.as_os_str() == "src");
    let is_root =
        matches!(name, "lib" | "main" | "build") || directory.ends_with("bin") || !in_source;
    if is_root {
        return false;
    }
    let parents: Vec<PathBuf> = if directory.ends_with("src") {
        vec![directory.join("lib.rs"), directory.join("main.rs")]
    } else {
        vec![directory.with_extension("rs")]
    };
    let declared = [format!("mod {name};"), format!("mod r#{name};")];
    let names_it = |parent: &PathBuf| {
        let content = tree
            .has(parent)
            .then(|| tree.text(&parent.to_string_lossy()));
        content.is_some_and(|content| declared.iter().any(|line| content.contains(line)))
    };
    !parents.iter().any(names_it)
}

/// Crates that say every sentence in English and, as string data beside it, in Chinese.
const BILINGUAL: &[&str] = &["decide/status/", "run/workloads/"];

/// Whether a line is ASCII, or Chinese string data where both languages stand side by side.
fn is_plain(shown: &str, line: &str) -> bool {
    let is_bilingual = BILINGUAL.iter().any(|folder| shown.starts_with(folder));
    let is_chinese = |each: char| matches!(each, '\u{3000}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}');
    let has_string = line.contains('"');
    line.chars()
        .all(|each| each.is_ascii() || (is_bilingual && has_string && is_chinese(each)))
}
