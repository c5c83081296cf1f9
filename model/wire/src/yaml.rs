//! YAML as people write it: one document in, one document out.

mod node;
mod words;

use serde_json::Value;
use serde_saphyr::Options;
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::json::Document;
use node::Node;

/// Most values in one document: more than fit into the largest body.
const NODES_MAX: usize = 3 << 20;

/// Most values, and ends of lists and maps, that aliases may repeat: a few lines of them can stand for billions.
///
/// Source: go-yaml `decode.go`, `alias_ratio_range_low`, up to which nearly all values may come from aliases.
const REPEATED_MAX: usize = 400_000;

/// Reads the first YAML document of a text; JSON is YAML too. Of keys that stand twice in a map the last counts.
///
/// # Errors
/// The text is no YAML, or has keys that are no strings; in the words of upstream's parser.
pub fn read(bytes: &[u8]) -> Result<Document, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let read = match node(text) {
        Err(error) if words::is_of_another_document(&error) => {
            let first = first_document(text, &error);
            node(first).map_err(|error| words::of(&error, first))
        }
        read => read.map_err(|error| words::of(&error, text)),
    };
    let Node {
        mut value,
        duplicates,
    } = read?;
    settle_numbers(&mut value);
    Ok(Document { value, duplicates })
}

fn node(text: &str) -> Result<Node, serde_saphyr::Error> {
    let mut options = Options::default();
    options.duplicate_keys = DuplicateKeyPolicy::LastWins;
    // Source: go-yaml `resolve.go`, which takes Go's prefixes of integers.
    options.legacy_octal_numbers = true;
    options.with_snippet = false;
    options.budget = serde_saphyr::budget! { max_nodes: NODES_MAX, max_events: 2 * NODES_MAX };
    options.alias_limits = serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED_MAX };
    serde_saphyr::from_str_with_options(text, options)
}

/// What stands before the marker of the document that an error is about.
fn first_document<'a>(text: &'a str, error: &serde_saphyr::Error) -> &'a str {
    let line = error.location().map_or(0, |location| location.line());
    let (mut at, mut end) = (0, 0);
    for (line_text, number) in text.split_inclusive('\n').zip(1..=line) {
        // A marker at the start begins the first document.
        if line_text.starts_with("---")
            && number > 1
            && !text.get(..at).unwrap_or("").trim().is_empty()
        {
            end = at;
        }
        at += line_text.len();
    }
    text.get(..end).unwrap_or("")
}

/// Makes integers of numbers without a fraction, as Go writes them in JSON: `3.0` in YAML is 3.
fn settle_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(settle_numbers),
        Value::Object(fields) => fields.values_mut().for_each(settle_numbers),
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0);
            let whole = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok());
            if let Some(whole) = whole {
                *value = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads every document of a stream; empty ones are left out.
///
/// # Errors
/// The text is no YAML.
pub fn read_all(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// Writes a value as a YAML document.
///
/// # Errors
/// The value cannot be written, which is a defect.
pub fn write(value: &Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn anchors_folds_and_literals_are_read() {
        let text =
            "a: &x {n: 1}\nb: *x\nf: >\n  one\n  two\nl: |\n  one\n  two\nq: 'on'\nv: 0755\n";
        let document = read(text.as_bytes()).unwrap().value;
        assert_eq!(document["b"], json!({"n": 1}));
        assert_eq!(
            (document["f"].as_str(), document["l"].as_str()),
            (Some("one two\n"), Some("one\ntwo\n"))
        );
        assert_eq!(document["q"], "on");
    }

    #[test]
    fn aliases_repeat_no_more_than_upstream_lets_them() {
        let lines = |count: usize| {
            let line = |(level, name): (usize, char)| {
                let inner = (b'a' + u8::try_from(level).unwrap()) as char;
                format!(
                    "{name}: &{name} [{}]\n",
                    vec![format!("*{inner}"); 9].join(",")
                )
            };
            let aliases: String = ('b'..='i').enumerate().take(count).map(line).collect();
            format!("a: &a [x,x,x,x,x,x,x,x,x]\n{aliases}")
        };
        assert!(read(lines(3).as_bytes()).is_ok());
        assert!(read(lines(5).as_bytes()).is_err());
    }

    #[test]
    fn a_number_without_a_fraction_is_an_integer() {
        let read = |text: &str| read(text.as_bytes()).unwrap().value;
        assert_eq!(
            read("{a: 3.0, b: [1e1, 2.5], c: '3.0', d: 1e30}"),
            json!({"a": 3, "b": [10, 2.5], "c": "3.0", "d": 1e30})
        );
    }

    /// Modes of files are written so.
    #[test]
    fn an_integer_with_a_leading_zero_is_octal() {
        let read = |text: &str| read(text.as_bytes()).unwrap().value;
        assert_eq!(
            read("{a: 0400, b: -0644, c: [0o17, 0x1F, 0, 08], d: '0400'}"),
            json!({"a": 256, "b": -420, "c": [15, 31, 0, 8], "d": "0400"})
        );
    }

    #[test]
    fn documents_may_be_long() {
        let long = "- a\n".repeat(400_000);
        assert_eq!(read(long.as_bytes()).unwrap().value[399_999], "a");
    }

    #[test]
    fn streams_have_several_documents() {
        assert_eq!(
            read_all("---\na: 1\n---\n---\nb: 2\n").unwrap(),
            [json!({"a": 1}), json!({"b": 2})]
        );
    }

    #[test]
    fn of_several_documents_the_first_is_read() {
        for text in [
            "a: 1\n---\nb: 2\n",
            "---\na: 1\n---\n",
            "# x\n---\na: 1\n--- # y\nb: [\n",
        ] {
            assert_eq!(read(text.as_bytes()).unwrap().value["a"], 1, "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts_and_each_is_told_by_the_line_of_its_value() {
        let text = "a: 1\nb: {c: 1, c: 2}\na:\n  d: 1\n  d: 2\n1: x\n";
        let document = read(text.as_bytes()).unwrap();
        assert_eq!(
            document.value,
            json!({"a": {"d": 2}, "b": {"c": 2}, "1": "x"})
        );
        assert_eq!(
            document.duplicates,
            [
                "line 2: key \"c\" already set in map",
                "line 5: key \"d\" already set in map",
                "line 4: key \"a\" already set in map"
            ]
        );
    }

    /// Bodies with what a stock server said of them.
    #[test]
    fn what_is_no_yaml_is_told_in_the_words_of_upstreams_parser() {
        for (text, words) in [
            (
                "<<: 1\n",
                "map merge requires map or sequence of maps as the value",
            ),
            ("%bad", "found unknown directive name"),
            (
                "a: b: c: d\n",
                "mapping values are not allowed in this context",
            ),
            (
                "a: b\n c: d\n",
                "line 2: mapping values are not allowed in this context",
            ),
            (
                "x:\n\ta: b\n",
                "line 2: found character that cannot start any token",
            ),
            ("a: [", "line 1: did not find expected node content"),
            ("a: {b", "line 1: did not find expected ',' or '}'"),
            ("a: 'b", "found unexpected end of stream"),
            ("- a\nb: c\n", "line 1: did not find expected '-' indicator"),
            (
                "%YAML 9\n---\na: b",
                "did not find expected digit or '.' character",
            ),
            ("a: *x\n", "unknown anchor 'x' referenced"),
            ("a: &x\n b: *x\n", "anchor 'x' value contains itself"),
            ("a: @x\n", "found character that cannot start any token"),
            ("a: b\u{1}\n", "control characters are not allowed"),
            ("d:\n  a: |\n  x\n", "line 4: could not find expected ':'"),
            ("a: ]\n", "did not find expected node content"),
            (
                "key: [a, b\nfoo: c\n",
                "line 1: did not find expected ',' or ']'",
            ),
            ("a: \"\\q\"\n", "found unknown escape character"),
            ("a: |x\n", "did not find expected comment or line break"),
        ] {
            let told = read(text.as_bytes()).err();
            assert_eq!(told, Some(format!("yaml: {words}")), "{text}");
        }
        let infinite = read(b"a: .inf\n").err();
        assert_eq!(infinite.as_deref(), Some("json: unsupported value: +Inf"));
    }
}
