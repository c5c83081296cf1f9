//! The grammar of `?labelSelector=`: words, then requirements. Errors are upstream's sentences.
//!
//! Source: apimachinery `labels`, `Lexer` and `Parser`.

use super::{LabelSelector, Operator, Requirement, requirement};

/// What may stand between a key and its values.
const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

/// A word of the text, with its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word<'a> {
    Identifier(&'a str),
    Symbol(&'a str),
    /// Symbols that mean nothing together.
    Nonsense(&'a str),
    End,
}

impl Word<'_> {
    /// As upstream's complaints show it.
    fn literal(&self) -> String {
        match self {
            Self::Identifier(text) | Self::Symbol(text) => (*text).to_owned(),
            Self::Nonsense(text) => format!("error expected: keyword found '{text}'"),
            Self::End => String::new(),
        }
    }
}

fn is_symbol(byte: u8) -> bool {
    matches!(byte, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What is read, from where on.
#[derive(Clone, Copy)]
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> Word<'a> {
        let text = self.0.trim_start_matches([' ', '\t', '\r', '\n']);
        let Some(&first) = text.as_bytes().first() else {
            self.0 = text;
            return Word::End;
        };
        let length = if is_symbol(first) {
            symbol_length(text)
        } else {
            let ends = |byte: &u8| is_symbol(*byte) || is_blank(*byte);
            text.as_bytes().iter().position(ends).unwrap_or(text.len())
        };
        let (word, rest) = text.split_at(length);
        self.0 = rest;
        match word {
            "!" | "=" | "==" | "!=" | "(" | ")" | "," | ">" | "<" => Word::Symbol(word),
            _ if is_symbol(first) => Word::Nonsense(word),
            _ => Word::Identifier(word),
        }
    }

    fn peek(mut self) -> Word<'a> {
        self.next()
    }
}

/// Of symbols that stand together, `==` and `!=` are one.
fn symbol_length(text: &str) -> usize {
    match text.get(..2) {
        Some("==" | "!=") => 2,
        _ => 1,
    }
}

/// Reads a whole selector.
pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut words = Words(text);
    let mut requirements = Vec::new();
    loop {
        match words.peek() {
            Word::Identifier(_) | Word::Symbol("!") => {}
            Word::End => return Ok(LabelSelector(requirements)),
            other => {
                return Err(format!(
                    "found '{}', expected: !, identifier, or 'end of string'",
                    other.literal()
                ));
            }
        }
        let one = one(&mut words).map_err(|why| format!("unable to parse requirement: {why}"))?;
        requirements.push(one);
        match words.next() {
            Word::End => return Ok(LabelSelector(requirements)),
            Word::Symbol(",") => {}
            other => {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    other.literal()
                ));
            }
        }
        match words.peek() {
            Word::Identifier(_) | Word::Symbol("!") => {}
            other => {
                return Err(format!(
                    "found '{}', expected: identifier after ','",
                    other.literal()
                ));
            }
        }
    }
}

fn one(words: &mut Words<'_>) -> Result<Requirement, String> {
    let is_negated = words.peek() == Word::Symbol("!");
    if is_negated {
        words.next();
    }
    let key = match words.next() {
        Word::Identifier(key) => key,
        other => return Err(format!("found '{}', expected: identifier", other.literal())),
    };
    if is_negated {
        return requirement(key, Operator::DoesNotExist, Vec::new());
    }
    // The key is judged before what follows it.
    let exists = requirement(key, Operator::Exists, Vec::new())?;
    if matches!(words.peek(), Word::End | Word::Symbol(",")) {
        return Ok(exists);
    }
    let operator = match words.next() {
        Word::Identifier("in") => Operator::In,
        Word::Identifier("notin") => Operator::NotIn,
        Word::Symbol("=" | "==") => return requirement(key, Operator::In, exact(words)?),
        Word::Symbol("!=") => return requirement(key, Operator::NotIn, exact(words)?),
        Word::Symbol(">") => return requirement(key, Operator::GreaterThan, exact(words)?),
        Word::Symbol("<") => return requirement(key, Operator::LessThan, exact(words)?),
        other => {
            return Err(format!(
                "found '{}', expected: {OPERATORS}",
                other.literal()
            ));
        }
    };
    requirement(key, operator, values(words)?)
}

/// The one value after `=` and its like; none is the empty one.
fn exact(words: &mut Words<'_>) -> Result<Vec<String>, String> {
    if matches!(words.peek(), Word::End | Word::Symbol(",")) {
        return Ok(vec![String::new()]);
    }
    match words.next() {
        Word::Identifier(value) => Ok(vec![value.to_owned()]),
        other => Err(format!("found '{}', expected: identifier", other.literal())),
    }
}

/// The values in parentheses, sorted and each once; between two commas stands the empty one.
fn values(words: &mut Words<'_>) -> Result<Vec<String>, String> {
    match words.next() {
        Word::Symbol("(") => {}
        other => return Err(format!("found '{}' expected: '('", other.literal())),
    }
    match words.peek() {
        Word::Identifier(_) | Word::Symbol("," | ")") => {}
        other => {
            return Err(format!(
                "found '{}', expected: ',', ')' or identifier",
                other.literal()
            ));
        }
    }
    let mut values = Vec::new();
    loop {
        let value = match words.peek() {
            Word::Identifier(value) => {
                words.next();
                value
            }
            Word::Symbol("," | ")") => "",
            other => {
                return Err(format!(
                    "found '{}', expected: ',', or identifier",
                    other.literal()
                ));
            }
        };
        values.push(value.to_owned());
        match words.next() {
            Word::Symbol(",") => {}
            Word::Symbol(")") => break,
            other => return Err(format!("found '{}', expected: ',' or ')'", other.literal())),
        }
    }
    values.sort();
    values.dedup();
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_upstreams() {
        let cases = [
            (
                "=",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            (
                ",",
                "found ',', expected: !, identifier, or 'end of string'",
            ),
            ("a,", "found '', expected: identifier after ','"),
            ("a,,b", "found ',', expected: identifier after ','"),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            ("!a=b", "found '=', expected: ',' or 'end of string'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "a==(",
                "unable to parse requirement: found '(', expected: identifier",
            ),
            (
                "a in b",
                "unable to parse requirement: found 'b' expected: '('",
            ),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "a in (=)",
                "unable to parse requirement: found '=', expected: ',', ')' or identifier",
            ),
            (
                "!",
                "unable to parse requirement: found '', expected: identifier",
            ),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn keywords_may_be_keys_and_values() {
        let read = |text: &str| parse(text).unwrap().to_string();
        assert_eq!(read("in in (in, notin,)"), "in in (,in,notin)");
        assert_eq!(read("a=in,notin"), "a=in,notin");
        assert_eq!(read("a in ()"), "a=");
    }
}
