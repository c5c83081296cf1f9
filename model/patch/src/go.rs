//! How Go prints values in error messages.

use std::fmt;

use serde_json::{Number, Value};

/// Prints a value as Go's `%v` does: `map[a:1 b:[x y]]`.
pub(crate) struct Go<'a>(pub(crate) &'a Value);

impl fmt::Display for Go<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("<nil>"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Number(number) => f.write_str(&go_number(number)),
            Value::String(text) => f.write_str(text),
            Value::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    let space = if at == 0 { "" } else { " " };
                    write!(f, "{space}{}", Go(item))?;
                }
                f.write_str("]")
            }
            Value::Object(map) => {
                f.write_str("map[")?;
                for (at, (key, item)) in map.iter().enumerate() {
                    let space = if at == 0 { "" } else { " " };
                    write!(f, "{space}{key}:{}", Go(item))?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A value as Go's `%v` prints it: `map[a:1 b:[x y]]`.
pub fn go_text(value: &Value) -> String {
    Go(value).to_string()
}

/// A value as Go's `%#v` prints it: `map[string]interface {}{"a":1}`.
pub(crate) fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => meta::field::quote(text),
        Value::Bool(_) => value.to_string(),
        Value::Number(number) => go_number(number),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(map) => {
            let members = map.iter();
            let members: Vec<String> = members
                .map(|(key, value)| format!("{}:{}", meta::field::quote(key), go_syntax(value)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", members.join(", "))
        }
    }
}

/// A value as Go's `%s` prints it, which complains of all that is no text: `%!s(int64=1)`.
pub(crate) fn go_string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_string).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(map) => {
            let members = map.iter();
            let members: Vec<String> = members
                .map(|(key, value)| format!("{key}:{}", go_string(value)))
                .collect();
            format!("map[{}]", members.join(" "))
        }
        Value::Null => "%!s(<nil>)".to_owned(),
        Value::Number(number) => format!("%!s({}={})", type_name(value), go_number(number)),
        Value::Bool(flag) => format!("%!s(bool={flag})"),
    }
}

/// A number as Go prints it: whole ones beyond its `int64` are floats, and these have an exponent from 10^6 on and below
/// 10^-4, of two digits at least.
///
/// Source: Go's `strconv.FormatFloat` with the format `g` and the shortest precision.
fn go_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| !number.is_i64()) else {
        return number.to_string();
    };
    let shortest = format!("{float:e}");
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => float.to_string(),
    }
}

/// Go's name for the dynamic type of a decoded value, as `%T` prints it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_are_printed_as_go_does() {
        let cases = [
            ("1000.0", "1000"),
            ("1.5", "1.5"),
            ("1e6", "1e+06"),
            ("1234567.0", "1.234567e+06"),
            ("9223372036854775808", "9.223372036854776e+18"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("9223372036854775807", "9223372036854775807"),
        ];
        for (number, printed) in cases {
            let value: Value = serde_json::from_str(number).unwrap();
            assert_eq!(go_text(&value), printed);
        }
    }

    #[test]
    fn values_are_printed_in_three_ways() {
        let value = json!({"b": [null, 1, {"x": 1.5}], "a": true, "c": "q"});
        assert_eq!(go_text(&value), "map[a:true b:[<nil> 1 map[x:1.5]] c:q]");
        assert_eq!(
            go_syntax(&value),
            r#"map[string]interface {}{"a":true, "b":[]interface {}{interface {}(nil), 1, map[string]interface {}{"x":1.5}}, "c":"q"}"#
        );
        assert_eq!(
            go_string(&value),
            "map[a:%!s(bool=true) b:[%!s(<nil>) %!s(int64=1) map[x:%!s(float64=1.5)]] c:q]"
        );
    }
}
