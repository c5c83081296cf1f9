//! Expressions and what is said of them; the words are those of a stock server.

use crate::{Env, Type};

fn env() -> Env {
    Env::new()
        .variable("object", Type::Dyn)
        .variable("request", Type::named("Request"))
        .message(
            "Request",
            &[
                ("name", Type::String),
                ("labels", Type::map(Type::String, Type::String)),
            ],
        )
}

fn said(text: &str) -> String {
    match env().compile(text) {
        Ok(checked) => checked.output().to_string(),
        Err(mistakes) => mistakes.to_string(),
    }
}

#[test]
fn expressions_have_types() {
    for (text, wanted) in [
        ("1", "int"),
        ("object.a.b == 1", "bool"),
        ("request.name + 'x'", "string"),
        ("request.labels.map(k, request.labels[k])", "list(string)"),
        ("[1, 2].exists_one(x, x > 1) ? 'a' : 'b'", "string"),
        ("object.?a.b.orValue('x')", "dyn"),
        ("request.labels[?'a'].orValue('x')", "string"),
        (
            "optional.of(1).optMap(x, string(x))",
            "optional_type(string)",
        ),
        ("{'a': 1}.transformMap(k, v, v + 1)", "map(string, int)"),
        ("[3, 1].sortBy(x, -x)", "list(int)"),
        ("type(1) == int", "bool"),
        ("quantity('1').add(1).isLessThan(quantity('2Gi'))", "bool"),
        ("cidr('10.0.0.0/8').ip().family()", "int"),
        ("semver('v1', true).major()", "int"),
        (
            "format.named('uri').value().validate('x').hasValue()",
            "bool",
        ),
        (
            "timestamp('2026-01-01T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') < duration('1h')",
            "bool",
        ),
        (
            "has(object.a) && !has(object.a.b) || -object.c > 1u",
            "bool",
        ),
        ("[]", "list(dyn)"),
        ("b'\\xff'", "bytes"),
        ("1.0 < 2", "bool"),
        ("[{'a': dyn(1)}][0].a", "dyn"),
        ("'%s'.format([request.name])", "string"),
        ("--1", "int"),
        ("object.a && object.b && object.c && object.d", "bool"),
    ] {
        assert_eq!(said(text), wanted, "{text}");
    }
}

#[test]
fn mistakes_are_told_in_upstreams_words() {
    let shown = |line: &str, column: usize, what: &str| {
        format!(
            "ERROR: <input>:1:{column}: {what}\n | {line}\n | {}^",
            ".".repeat(column - 1)
        )
    };
    let all = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
    for (text, column, what) in [
        ("foo", 1, "undeclared reference to 'foo' (in container '')".to_owned()),
        ("object.a +", 11, format!("Syntax error: mismatched input '<EOF>' expecting {all}")),
        ("object.", 8, "Syntax error: no viable alternative at input '.'".to_owned()),
        ("object.true", 8, "Syntax error: mismatched input 'true' expecting IDENTIFIER".to_owned()),
        ("1 + 'a'", 3, "found no matching overload for '_+_' applied to '(int, string)'".to_owned()),
        ("request.nam", 8, "undefined field 'nam'".to_owned()),
        ("object.foo()", 11, "undeclared reference to 'foo' (in container '')".to_owned()),
        ("'a'.startsWith(1)", 15, "found no matching overload for 'startsWith' applied to 'string.(int)'".to_owned()),
        ("[1, 'a']", 5, "expected type 'int' but found 'string'".to_owned()),
        ("1.all(x, x)", 1, "expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)".to_owned()),
        ("object.all(1, x)", 12, "argument must be a simple name".to_owned()),
        ("has(object)", 5, "invalid argument to has() macro".to_owned()),
        ("object.a.matches('(')", 18, "invalid matches argument".to_owned()),
        ("duration('1')", 10, "invalid duration argument".to_owned()),
        ("if", 1, "reserved identifier: if".to_owned()),
        ("9223372036854775808", 1, "invalid int literal".to_owned()),
    ] {
        assert_eq!(said(text), shown(text, column, &what), "{text}");
    }
}

#[test]
fn what_is_too_deep_or_too_large_is_told() {
    let deep = |open: &str, close: &str, count: usize| {
        format!("{}1{}", open.repeat(count), close.repeat(count))
    };
    for text in [
        deep("(", ")", 10_000),
        deep("[", "]", 10_000),
        deep("!", "", 10_000),
        format!("object{}", ".a".repeat(40_000)),
        format!("1{}", "+1".repeat(40_000)),
        format!("object{}", ".?a.optMap(x, x)".repeat(40)),
        deep("cel.bind(a, {[1]: [1]}, ", ")", 100),
        "(".repeat(30_000),
        deep("[", "]", 249),
        deep("{1: ", "}", 249),
        deep("dyn(", ")", 249),
        deep("[1].map(x, ", ")", 200),
        deep("[1].filter(x, has(object.a) && ", " == 1)", 120),
        deep("!(object.a || ", ")", 240),
        deep("f([1, !(-x && {1: ", "})])", 100),
        format!("1{}", "+1".repeat(240)),
    ] {
        // Half of what a thread of the server has.
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let compile = move || env().binding().compile(&text).is_ok();
        thread.spawn(compile).unwrap().join().unwrap();
    }
    let chain = format!("object.a == 1{}", " && object.a == 1".repeat(2000));
    assert_eq!(said(&chain), "bool");
    assert_eq!(said(&deep("(", ")", 20)), "int");
}
