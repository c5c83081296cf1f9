//! YAML as people write it: one document in, one document out.

mod decode;
mod gap;
mod scalar;
mod tape;
mod value;
mod words;

use std::borrow::Cow;

use serde_json::Value;

use crate::json::Document;
use decode::Decoder;
use tape::Tape;

/// Reads the first YAML document of a text; JSON is YAML too. Of keys that stand twice in a map the last counts.
///
/// # Errors
/// The text is no YAML, or has what JSON cannot have; in the words of upstream's parser.
pub fn read(bytes: &[u8]) -> Result<Document, String> {
    let text = text(bytes)?;
    let tape = Tape::of(&text)?;
    let mut decoder = Decoder::new(&tape);
    let read = decoder.value(0)?;
    let duplicates = decoder.duplicates;
    drop(tape);
    let value = read.json()?;
    Ok(Document { value, duplicates })
}

/// The text of a document, whose lines end as they do everywhere.
///
/// Source: go-yaml `readerc.go`, which knows UTF-16 by its mark; `scannerc.go`, for which U+0085 is a line feed.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    let of_units = |unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).skip(1);
        let units = units.filter_map(|pair| Some(unit(pair.try_into().ok()?)));
        char::decode_utf16(units).collect::<Result<String, _>>()
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => Cow::Owned(of_units(u16::from_le_bytes).map_err(|_| no_pair())?),
        [0xfe, 0xff, ..] => Cow::Owned(of_units(u16::from_be_bytes).map_err(|_| no_pair())?),
        _ => Cow::Borrowed(
            std::str::from_utf8(bytes)
                .map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?,
        ),
    };
    Ok(if text.contains('\u{85}') {
        Cow::Owned(text.replace('\u{85}', "\n"))
    } else {
        text
    })
}

fn no_pair() -> String {
    "yaml: unexpected low surrogate area".to_owned()
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
            "a: &x {m: 1}\nb: *x\nf: >\n  one\n  two\nl: |\n  one\n  two\nq: 'on'\nv: 0755\n";
        let document = read(text.as_bytes()).unwrap().value;
        assert_eq!(document["b"], json!({"m": 1}));
        assert_eq!(
            (document["f"].as_str(), document["l"].as_str()),
            (Some("one two\n"), Some("one\ntwo\n"))
        );
        assert_eq!(document["q"], "on");
    }

    #[test]
    fn lines_end_as_they_end_in_the_document() {
        let read = |text: &str| read(text.as_bytes()).unwrap().value["a"].clone();
        for (text, value) in [
            ("a: |\n  b", "b"),
            ("a: |+\n  b", "b"),
            ("a: >\n  b\n  c", "b c"),
            ("a: |\n  b\n", "b\n"),
            ("a: |\n  b\n  ", "b\n"),
            ("a: |\n  b\n# c", "b\n"),
            ("a: |+\n  b\n\n", "b\n\n"),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
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
        assert!(read(lines(2).as_bytes()).is_ok());
        for count in [3, 8] {
            let refused = read(lines(count).as_bytes()).err();
            let words = "yaml: document contains excessive aliasing";
            assert_eq!(refused.as_deref(), Some(words));
        }
    }

    #[test]
    fn aliases_nest_no_deeper_than_lists() {
        let levels = (1..100).map(|level| format!("- &a{level} [*a{}]\n", level - 1));
        let text = format!("- &a0 x\n{}", levels.collect::<String>());
        for text in [text, "- ".repeat(65), "[".repeat(5000)] {
            let refused = read(text.as_bytes()).err();
            assert_eq!(refused.as_deref(), Some("yaml: exceeded max depth of 64"));
        }
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

    /// What go-yaml made of each.
    #[test]
    fn scalars_mean_what_they_mean_upstream() {
        let read = |text: &str| read(text.as_bytes()).unwrap().value;
        assert_eq!(
            read("[1_000, 1_0.5, 0_7, 1__0, 1_, 0x_1, _1, .5, .5_0, ._5, 5., 1e3, 0b+1, -0b1, 09]"),
            json!([
                1000, 10.5, 7, 10, 1, 1, "_1", 0.5, 0.5, "._5", 5, 1000, 1, -1, 9
            ])
        );
        assert_eq!(
            read(
                "[true, tRUE, YES, yES, y, Off, ~, nULL, Null, 1e400, -1e400, .iNf, 1.2.3, 12:30]"
            ),
            json!([
                true, "tRUE", true, "yES", true, false, null, "nULL", null, "1e400", "-1e400",
                ".iNf", "1.2.3", "12:30"
            ])
        );
        assert_eq!(
            read(
                "[18446744073709551615, -9223372036854775808, 4611686018427387904.0, 0777777777777777777777]"
            ),
            json!([u64::MAX, i64::MIN, 4_611_686_018_427_388_000_i64, i64::MAX])
        );
        assert_eq!(
            read("[18446744073709551616, -9223372036854775809, +9223372036854775808]"),
            json!([
                18_446_744_073_709_551_616.0,
                -9_223_372_036_854_775_808.0,
                9_223_372_036_854_776_000_u64
            ])
        );
    }

    #[test]
    fn tags_say_what_a_scalar_is() {
        let read = |text: &str| read(text.as_bytes());
        assert_eq!(
            read("[!foo 12, ! 12, !!str true, !!int '12', !!float 1, !!bool yes, !!binary aGk=, !!str ]")
                .unwrap()
                .value,
            json!(["12", "12", "true", 12, 1, true, "hi", ""])
        );
        assert_eq!(
            read("[!!timestamp 2024-01-02, !!timestamp 2024-1-2T3:4:5.5+02:00, !!set {a: 1}]")
                .unwrap()
                .value,
            json!(["2024-01-02", "2024-1-2T3:4:5.5+02:00", {"a": 1}])
        );
        for (text, words) in [
            ("!!null x", "cannot decode !!str `x` as a !!null"),
            ("!!int 1.5", "cannot decode !!float `1.5` as a !!int"),
            (
                "!!timestamp 2024-13-02",
                "cannot decode !!str `2024-13-02` as a !!timestamp",
            ),
            ("!!binary x", "!!binary value contains invalid base64 data"),
        ] {
            assert_eq!(read(text).err(), Some(format!("yaml: {words}")), "{text}");
        }
    }

    #[test]
    fn keys_have_types_and_are_written_as_texts() {
        let document = read(
            b"0644: a\nyes: b\n1.0: c\n1e3: d\n1e6: e\n0x1F: f\n.inf: g\n'0644': h\non: i\n1.5: j\n1.5: k\n",
        );
        let document = document.unwrap();
        assert_eq!(
            document.value,
            json!({
                "420": "a", "true": "i", "1": "c", "1000": "d", "1e+06": "e", "31": "f",
                ".inf": "g", "0644": "h", "1.5": "k"
            })
        );
        assert_eq!(
            document.duplicates,
            [
                "line 9: key true already set in map",
                "line 11: key 1.5 already set in map"
            ]
        );
        for (text, words) in [
            (
                "~: [1.5, ~]",
                "unsupported map key of type: %!s(<nil>), key: <nil>, value: []interface {}{1.5, interface {}(nil)}",
            ),
            (
                "18446744073709551615: x",
                "unsupported map key of type: uint64, key: 0xffffffffffffffff, value: \"x\"",
            ),
            (
                "a: {{ .Values.x }}",
                "yaml: invalid map key: map[interface {}]interface {}{\".Values.x\":interface {}(nil)}",
            ),
            ("? [a]\n: b", "yaml: invalid map key: []interface {}{\"a\"}"),
        ] {
            assert_eq!(
                read(text.as_bytes()).err().as_deref(),
                Some(words),
                "{text}"
            );
        }
    }

    #[test]
    fn merged_keys_count_where_they_stand() {
        let maps = "l: &l {a: 1, b: 2}\nm: &m {a: 3, c: 4}\n";
        let read = |text: &str| {
            let document = read(format!("{maps}{text}").as_bytes());
            document.map(|read| (read.value["t"].clone(), read.duplicates))
        };
        for (text, value, told) in [
            (
                "t:\n  a: 0\n  <<: *l\n",
                json!({"a": 1, "b": 2}),
                "line 1: key \"a\" already set in map",
            ),
            (
                "t:\n  <<: *l\n  a: 0\n",
                json!({"a": 0, "b": 2}),
                "line 5: key \"a\" already set in map",
            ),
            (
                "t:\n  <<: [*l, *m]\n",
                json!({"a": 1, "b": 2, "c": 4}),
                "line 1: key \"a\" already set in map",
            ),
        ] {
            assert_eq!(read(text), Ok((value, vec![told.to_owned()])), "{text}");
        }
        let quoted = read("t: {'<<': *l}\n");
        assert_eq!(quoted, Ok((json!({"<<": {"a": 1, "b": 2}}), Vec::new())));
        for text in ["t: {<<: null}", "s: &s [*l]\nt: {<<: *s}", "t: {<<: [1]}"] {
            let words = "yaml: map merge requires map or sequence of maps as the value";
            assert_eq!(read(text), Err(words.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_duplicate_is_told_by_the_line_its_value_begins_in() {
        let text = "a: 1\na: |\n  x\na: &x\n  b: 1\na: !!map\n  c: 1\na:\n  d: 1\n";
        let lines = [2, 4, 6, 9].map(|line| format!("line {line}: key \"a\" already set in map"));
        assert_eq!(read(text.as_bytes()).unwrap().duplicates, lines);
    }

    /// Else what is written would be read as something else.
    #[test]
    fn texts_that_look_like_something_else_are_written_in_quotes() {
        for text in [
            "0400",
            "1_000",
            "1_0.5",
            "0_7",
            "1__0",
            "0x_1",
            "0b1",
            "0b+1",
            "0o7",
            ".5",
            ".5_0",
            "5.",
            "1e3",
            "y",
            "n",
            "on",
            "Off",
            "yes",
            "~",
            "null",
            "",
            "<<",
            ".inf",
            "-.INF",
            ".NaN",
            "2024-01-02",
            "12:30",
            "+1",
            "-0b1",
            "+_1",
            "1e400",
        ] {
            let value = json!({"k": text, text: 1});
            let written = write(&value).unwrap();
            assert_eq!(
                read(written.as_bytes()).map(|read| read.value),
                Ok(value),
                "{written}"
            );
        }
    }

    #[test]
    fn tabs_stand_where_no_key_can_begin() {
        let text = "%YAML 1.1\n---\t\na:\tb\t# x\t\nc: [d,\n\te,\n\t]\nf: |\n  g\t\n\nh:\n  i: j\n   \t\n  k: l\n";
        assert_eq!(
            read(text.as_bytes()).unwrap().value,
            json!({"a": "b", "c": ["d", "e"], "f": "g\t\n", "h": {"i": "j", "k": "l"}})
        );
    }

    #[test]
    fn bodies_may_be_of_utf_16_and_have_line_ends_of_other_times() {
        let units = "\u{feff}a: \u{1f600}\u{85}b: c".encode_utf16();
        let (low, high): (Vec<_>, Vec<_>) = units
            .map(|unit| (unit.to_le_bytes(), unit.to_be_bytes()))
            .unzip();
        for bytes in [low.concat(), high.concat()] {
            assert_eq!(
                read(&bytes).unwrap().value,
                json!({"a": "\u{1f600}", "b": "c"})
            );
        }
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
            ("%YAML 1.2\n---\na: b", "found incompatible YAML document"),
            (
                "# x\n%YAML 2.0\n---\na: b",
                "line 1: found incompatible YAML document",
            ),
            (
                "a: b # \t\n \t\nc: d\n",
                "line 2: found character that cannot start any token",
            ),
            (
                "a:\n  b: c\n  \t\n  d: e\n",
                "line 3: found a tab character that violates indentation",
            ),
            (
                "a: |\n  b\n\t\nc: d\n",
                "line 3: found a tab character where an indentation space is expected",
            ),
            ("-\ta\n", "found character that cannot start any token"),
            ("a: |x\n", "did not find expected comment or line break"),
        ] {
            let told = read(text.as_bytes()).err();
            assert_eq!(told, Some(format!("yaml: {words}")), "{text}");
        }
        let half = b"{\"a\": \"\\ud83d\\ude00\"}";
        let words = "yaml: found invalid Unicode character escape code";
        assert_eq!(read(half).err().as_deref(), Some(words));
        let infinite = read(b"a: .inf\n").err();
        assert_eq!(infinite.as_deref(), Some("json: unsupported value: +Inf"));
    }
}
