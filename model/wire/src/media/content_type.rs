//! What a `Content-Type` header names.
//!
//! Source: Go's `mime.ParseMediaType`, which apiserver `NegotiateInputSerializer` reads it with. Parameters mean nothing, but
//! must be well formed.

use std::collections::BTreeMap;

/// The media type that a content type names, in lower case; `None` for what cannot be read.
pub(super) fn parse(content_type: &str) -> Option<String> {
    let (name, mut rest) = match content_type.find(';') {
        Some(at) => content_type.split_at(at),
        None => (content_type, ""),
    };
    let name = name.trim().to_lowercase();
    if !is_media_type(&name) {
        return None;
    }
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    while !rest.trim_start().is_empty() {
        let Some((key, value, after)) = parameter(rest) else {
            // A semicolon at the end is passed over.
            return (rest.trim() == ";").then_some(name);
        };
        if known.get(&key).is_some_and(|other| *other != value) {
            return None;
        }
        known.insert(key, value);
        rest = after;
    }
    Some(name)
}

/// Whether a name is a token, or two with a slash between.
fn is_media_type(name: &str) -> bool {
    let is_whole = |text: &str| !text.is_empty() && token(text).1.is_empty();
    match name.split_once('/') {
        Some((main, sub)) => is_whole(main) && is_whole(sub),
        None => is_whole(name),
    }
}

/// The parameter that a text starts with, and what follows it.
fn parameter(text: &str) -> Option<(String, String, &str)> {
    let text = text.trim_start().strip_prefix(';')?.trim_start();
    let (key, text) = token(text);
    if key.is_empty() {
        return None;
    }
    let text = text.trim_start().strip_prefix('=')?.trim_start();
    let (value, after) = if let Some(quoted) = text.strip_prefix('"') {
        quoted_value(quoted)?
    } else {
        let (value, after) = token(text);
        (value.to_owned(), after)
    };
    let is_empty = value.is_empty() && after.len() == text.len();
    (!is_empty).then(|| (key.to_lowercase(), value, after))
}

/// The rest of a value in quotes, and what follows it. Only what would end a token is escaped.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..).unwrap_or_default())),
            '\r' | '\n' => return None,
            '\\' => match characters.next_if(|(_, next)| ends_token(*next)) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push(character),
            },
            _ => value.push(character),
        }
    }
    None
}

/// The token that a text starts with, be it empty, and what follows it.
fn token(text: &str) -> (&str, &str) {
    let is_outside = |character: char| !character.is_ascii_graphic() || ends_token(character);
    text.split_at(text.find(is_outside).unwrap_or(text.len()))
}

/// Source: RFC 2045, `tspecials`.
fn ends_token(character: char) -> bool {
    "()<>@,;:\\\"/[]?=".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_any_case_and_parameters_must_be_well_formed() {
        for (content_type, wanted) in [
            ("application/json", Some("application/json")),
            ("Application/JSON ; charset=utf-8", Some("application/json")),
            ("application/json;", Some("application/json")),
            ("application/json; a=b; a=b;", Some("application/json")),
            ("application/json; a=\"b;\\\"c\"", Some("application/json")),
            ("json", Some("json")),
            ("application/json;;", None),
            ("application/json;x", None),
            ("application/json;x=", None),
            ("application/json;a=b;A=c", None),
            ("application/json;a=\"b", None),
            ("application/json,application/yaml", None),
            ("application/", None),
            ("/json", None),
            ("application/json/x", None),
            ("", None),
        ] {
            assert_eq!(parse(content_type).as_deref(), wanted, "{content_type}");
        }
    }
}
