//! Expressions: whatever the text, something is said of it, at a place that the text has.

#![no_main]

use cel::{Env, Type};
use libfuzzer_sys::fuzz_target;

/// What a byte above 127 stands for, so that most inputs get past the first words.
const WORDS: [&str; 64] = [
    "object", ".a", ".?a", "[0]", "[?'a']", "(", ")", "[", "]", "{", "}", ",", ":", "?", " && ",
    " || ", "!", "-", " + ", " == ", " in ", " < ", "1", "'a'", "1u", "1.5", "true", "null", "b'x'",
    ".all(x, ", ".map(x, ", ".filter(x, ", ".exists(k, v, ", ".optMap(x, ", ".sortBy(x, ",
    ".transformMap(k, v, ", "has(", "x", "k", "v", ".size()", ".sum()", ".join(',')", ".first()",
    "optional.of(", "quantity('1')", "ip('1.1.1.1')", "duration('1s')", "timestamp('x')",
    ".matches('(a')", "'%d %s'.format([", "dyn(", "type(", "Object{a: ", "JSONPatch{op: ",
    "Object.spec{", ".orValue(", ".value()", "cel.bind(x, ", "request.name", "\n", " ", "sets.contains(", ".flatten()",
];

fuzz_target!(|input: &[u8]| {
    let text: String = input
        .iter()
        .map(|byte| match byte {
            0..128 => char::from(*byte).to_string(),
            word => WORDS[usize::from(*word) % WORDS.len()].to_owned(),
        })
        .collect();
    let env = Env::new()
        .variable("object", Type::Dyn)
        .variable("request", Type::named("Request"))
        .message("Request", &[("name", Type::String)])
        .patches()
        .binding();
    match env.compile(&text) {
        Ok(checked) => {
            checked.obstacle();
            assert!(checked.types.iter().all(|found| !found.to_string().contains("_var")), "{text}");
        }
        Err(mistakes) => {
            assert!(!mistakes.to_string().is_empty());
            let lines = i64::try_from(text.split('\n').count()).expect("inputs are short");
            for mistake in mistakes.iter() {
                assert!(mistake.place.line <= lines, "{text}: {mistake:?}");
            }
        }
    }
});
