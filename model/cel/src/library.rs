//! The functions there are, from lists of their forms: `target.name(arguments) -> result`, a line each. Capital letters
//! are types that are found at each call; `list`, `map`, `type` and `optional` take types; names with dots are types of
//! their own.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::types::Type;

/// A form of a function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overload {
    /// Whether it is called on its first argument.
    pub(crate) is_member: bool,
    pub(crate) args: Vec<Type>,
    pub(crate) result: Type,
}

/// Functions by name, with their forms in upstream's order.
pub(crate) type Library = BTreeMap<String, Vec<Overload>>;

/// The functions that every expression may call: those of version 1.35, which new expressions of 1.36 are held to.
///
/// Source: k8s.io/apiserver/pkg/cel/environment/base.go.
pub(crate) static BASE: LazyLock<Library> = LazyLock::new(|| read(include_str!("library.txt")));

/// What patches may call besides. Source: library/jsonpatch.go.
pub(crate) static PATCHES: LazyLock<Library> =
    LazyLock::new(|| read("jsonpatch.escapeKey(string) -> string"));

fn read(text: &str) -> Library {
    let mut library = Library::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, overload)) = overload(line) {
            library.entry(name).or_default().push(overload);
        }
    }
    library
}

fn overload(line: &str) -> Option<(String, Overload)> {
    let (call, result) = line.split_once(" -> ")?;
    let (head, args) = call.strip_suffix(')')?.split_once('(')?;
    let mut args = types(args)?;
    let (target, name) = target(head);
    let is_member = target.is_some();
    if let Some(target) = target {
        args.insert(0, one(target)?);
    }
    let overload = Overload {
        is_member,
        args,
        result: one(result)?,
    };
    Some((name.to_owned(), overload))
}

/// What stands before the last dot, if it is a type; functions may have dots in their names.
fn target(head: &str) -> (Option<&str>, &str) {
    const NAMESPACES: [&str; 9] = [
        "optional",
        "strings",
        "sets",
        "lists",
        "ip",
        "format",
        "cel",
        "jsonpatch",
        "_?",
    ];
    match head.rsplit_once('.') {
        Some((target, name)) if !NAMESPACES.contains(&target) => (Some(target), name),
        _ => (None, head),
    }
}

fn one(text: &str) -> Option<Type> {
    let mut found = types(text)?;
    found.pop().filter(|_| found.is_empty())
}

/// Types with commas between them.
fn types(text: &str) -> Option<Vec<Type>> {
    let mut depth = 0_usize;
    let mut parts = vec![String::new()];
    for c in text.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut()?.push(c);
    }
    let parts = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty());
    parts.map(named).collect()
}

fn named(text: &str) -> Option<Type> {
    let (name, params) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, params)) => (name, types(params)?),
        None => (text, Vec::new()),
    };
    Some(match (name, params.as_slice()) {
        ("list", [of]) => Type::list(of.clone()),
        ("map", [key, value]) => Type::map(key.clone(), value.clone()),
        ("optional", [of]) => Type::optional(of.clone()),
        ("type", [of]) => Type::of(of.clone()),
        ("bool", []) => Type::Bool,
        ("bytes", []) => Type::Bytes,
        ("double", []) => Type::Double,
        ("duration", []) => Type::Duration,
        ("dyn", []) => Type::Dyn,
        ("int", []) => Type::Int,
        ("string", []) => Type::String,
        ("timestamp", []) => Type::Timestamp,
        ("uint", []) => Type::Uint,
        (name, []) if name.starts_with("net.") => Type::Opaque(name.into(), Arc::new([])),
        (name, []) if name.contains('.') => Type::named(name),
        (name, []) if name.len() == 1 => Type::Param(name.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_form_of_a_function() {
        let lines = include_str!("library.txt").lines();
        let mut lines = lines.filter(|line| !line.starts_with('#'));
        assert_eq!(lines.find(|line| overload(line).is_none()), None);
        assert!(BASE.contains_key("optional.of") && BASE.contains_key("_?._"));
        let forms = &BASE["ip"];
        let shown: Vec<(bool, String)> = forms
            .iter()
            .map(|form| (form.is_member, form.result.to_string()))
            .collect();
        assert_eq!(shown, [(false, "net.IP".into()), (true, "net.IP".into())]);
    }
}
