//! Text to tokens: the longest word wins, and what begins no word is told and left out. Source: cel-go
//! `parser/gen/CEL.g4` and the way antlr's lexer recovers.

use super::token::{Kind, Token};
use crate::source::{Mistake, Source};

/// Words that are no names.
const KEYWORDS: [(&str, Kind); 4] = [
    ("in", Kind::In),
    ("true", Kind::True),
    ("false", Kind::False),
    ("null", Kind::Null),
];

const SIGNS: [(&str, Kind); 25] = [
    ("==", Kind::Equals),
    ("!=", Kind::NotEquals),
    ("<=", Kind::LessEquals),
    (">=", Kind::GreaterEquals),
    ("&&", Kind::And),
    ("||", Kind::Or),
    ("<", Kind::Less),
    (">", Kind::Greater),
    ("[", Kind::OpenBracket),
    ("]", Kind::CloseBracket),
    ("{", Kind::OpenBrace),
    ("}", Kind::CloseBrace),
    ("(", Kind::OpenParen),
    (")", Kind::CloseParen),
    (".", Kind::Dot),
    (",", Kind::Comma),
    ("-", Kind::Minus),
    ("!", Kind::Not),
    ("?", Kind::Question),
    (":", Kind::Colon),
    ("+", Kind::Plus),
    ("*", Kind::Star),
    ("/", Kind::Slash),
    ("%", Kind::Percent),
    // Not a word, but how `==` may begin.
    ("=", Kind::Eof),
];

/// How far the rules of the grammar get from one place.
#[derive(Default)]
struct Reach {
    /// The longest word.
    word: Option<(usize, Kind)>,
    /// The characters that some rule could go through.
    viable: usize,
}

impl Reach {
    fn accept(&mut self, length: usize, kind: Kind) {
        if self.word.is_none_or(|(longest, _)| length > longest) {
            self.word = Some((length, kind));
        }
        self.viable(length);
    }
    fn viable(&mut self, length: usize) {
        self.viable = self.viable.max(length);
    }
}

/// The tokens of a text, with the end as the last one.
pub(crate) fn tokens(source: &Source, mistakes: &mut Vec<Mistake>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.chars.get(at..).filter(|rest| !rest.is_empty()) {
        let reach = reach(rest);
        let Some((length, kind)) = reach.word else {
            let end = at + reach.viable + 1;
            let text = source.slice(at..end);
            mistakes.push(Mistake {
                place: source.place(at),
                message: format!("Syntax error: token recognition error at: '{text}'"),
            });
            at = end;
            continue;
        };
        let text = source.slice(at..at + length);
        tokens.push(Token { kind, text, at });
        at += length;
    }
    tokens.push(Token {
        kind: Kind::Eof,
        text: "<EOF>".to_owned(),
        at: source.chars.len(),
    });
    tokens
}

fn reach(text: &[char]) -> Reach {
    let mut reach = Reach::default();
    hidden(text, &mut reach);
    number(text, &mut reach);
    name(text, &mut reach);
    strings(text, 0, Kind::Text, &mut reach);
    if matches!(text, ['b' | 'B', ..]) {
        strings(text, 1, Kind::Bytes, &mut reach);
    }
    for (sign, kind) in SIGNS {
        let common = sign.chars().zip(text).take_while(|(a, b)| a == *b).count();
        if common == sign.len() && kind != Kind::Eof {
            reach.accept(common, kind);
        } else {
            reach.viable(common);
        }
    }
    reach
}

fn count(text: &[char], from: usize, fits: impl Fn(char) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter().take_while(|c| fits(**c)).count()
}

fn hidden(text: &[char], reach: &mut Reach) {
    let spaces = count(text, 0, |c| "\t \r\n\u{c}".contains(c));
    if spaces > 0 {
        reach.accept(spaces, Kind::Hidden);
    }
    if text.starts_with(&['/', '/']) {
        reach.accept(count(text, 0, |c| c != '\n'), Kind::Hidden);
    }
}

fn number(text: &[char], reach: &mut Reach) {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_unsigned = |at: usize| matches!(text.get(at), Some('u' | 'U'));
    let whole = count(text, 0, is_digit);
    if whole > 0 {
        reach.accept(whole, Kind::Int);
        if is_unsigned(whole) {
            reach.accept(whole + 1, Kind::Uint);
        }
        exponent(text, whole, reach);
    }
    if text.get(whole) == Some(&'.') {
        let fraction = count(text, whole + 1, is_digit);
        reach.viable(whole + 1);
        if fraction > 0 {
            reach.accept(whole + 1 + fraction, Kind::Float);
            exponent(text, whole + 1 + fraction, reach);
        }
    }
    if text.starts_with(&['0', 'x']) {
        let digits = count(text, 2, |c| c.is_ascii_hexdigit());
        reach.viable(2);
        if digits > 0 {
            reach.accept(2 + digits, Kind::Int);
            if is_unsigned(2 + digits) {
                reach.accept(3 + digits, Kind::Uint);
            }
        }
    }
}

fn exponent(text: &[char], at: usize, reach: &mut Reach) {
    if !matches!(text.get(at), Some('e' | 'E')) {
        return;
    }
    let sign = usize::from(matches!(text.get(at + 1), Some('+' | '-')));
    let digits = count(text, at + 1 + sign, |c| c.is_ascii_digit());
    reach.viable(at + 1 + sign);
    if digits > 0 {
        reach.accept(at + 1 + sign + digits, Kind::Float);
    }
}

fn name(text: &[char], reach: &mut Reach) {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if text.first().is_some_and(|c| is_letter(*c)) {
        let length = count(text, 0, |c| is_letter(c) || c.is_ascii_digit());
        let word: String = text.iter().take(length).collect();
        let keyword = KEYWORDS.iter().find(|(keyword, _)| *keyword == word);
        reach.accept(length, keyword.map_or(Kind::Ident, |(_, kind)| *kind));
    }
    if text.first() == Some(&'`') {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-/ ".contains(c);
        let length = count(text, 1, fits);
        reach.viable(1 + length);
        if length > 0 && text.get(1 + length) == Some(&'`') {
            reach.accept(2 + length, Kind::EscapedIdent);
        }
    }
}

/// Every form of text literals, after a prefix.
fn strings(text: &[char], prefix: usize, kind: Kind, reach: &mut Reach) {
    let is_raw = matches!(text.get(prefix), Some('r' | 'R'));
    let open = prefix + usize::from(is_raw);
    reach.viable(open);
    let Some(quote @ ('"' | '\'')) = text.get(open).copied() else {
        return;
    };
    string(text, open + 1, (quote, 1), is_raw, kind, reach);
    let quotes = count(text, open, |c| c == quote).min(3);
    reach.viable(open + quotes);
    if quotes == 3 {
        string(text, open + 3, (quote, 3), is_raw, kind, reach);
    }
}

/// One form: what stands between the quotes, up to the first that end it.
fn string(
    text: &[char],
    mut at: usize,
    (quote, quotes): (char, usize),
    is_raw: bool,
    kind: Kind,
    reach: &mut Reach,
) {
    loop {
        reach.viable(at);
        let closing = count(text, at, |c| c == quote);
        if closing >= quotes {
            return reach.accept(at + quotes, kind);
        }
        match text.get(at) {
            None => return,
            Some('\n' | '\r') if quotes == 1 => return,
            Some('\\') if !is_raw => match escape(text, at) {
                Ok(length) => at += length,
                Err(length) => return reach.viable(at + length),
            },
            Some(_) => at += 1,
        }
    }
}

/// The length of an escape sequence, or as far as it is one.
fn escape(text: &[char], at: usize) -> Result<usize, usize> {
    let digits = |from: usize, wanted: usize, fits: fn(char) -> bool| {
        let found = count(text, at + from, fits).min(wanted);
        if found == wanted {
            Ok(from + wanted)
        } else {
            Err(from + found)
        }
    };
    let is_hex = |c: char| c.is_ascii_hexdigit();
    match text.get(at + 1) {
        Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`') => Ok(2),
        Some('x' | 'X') => digits(2, 2, is_hex),
        Some('u') => digits(2, 4, is_hex),
        Some('U') => digits(2, 8, is_hex),
        Some('0'..='3') => digits(2, 2, |c| ('0'..='7').contains(&c)),
        _ => Err(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(Kind, String)>, Vec<String>) {
        let mut mistakes = Vec::new();
        let tokens = tokens(&Source::new(text), &mut mistakes);
        let seen = tokens
            .into_iter()
            .filter(|token| token.kind != Kind::Hidden);
        (
            seen.map(|token| (token.kind, token.text)).collect(),
            mistakes
                .into_iter()
                .map(|mistake| mistake.message)
                .collect(),
        )
    }

    #[test]
    fn the_longest_word_wins() {
        for (text, kinds) in [
            (
                "1 1u 0x1F 1.5 .5e3 1e-2",
                vec![
                    Kind::Int,
                    Kind::Uint,
                    Kind::Int,
                    Kind::Float,
                    Kind::Float,
                    Kind::Float,
                ],
            ),
            (
                "a in inn true `a-b/c.d`",
                vec![
                    Kind::Ident,
                    Kind::In,
                    Kind::Ident,
                    Kind::True,
                    Kind::EscapedIdent,
                ],
            ),
            (
                r#"'' "a\"b" '''x'y''' r'\d' b'\x00' bR"\""#,
                vec![
                    Kind::Text,
                    Kind::Text,
                    Kind::Text,
                    Kind::Text,
                    Kind::Bytes,
                    Kind::Bytes,
                ],
            ),
            (
                "a<=b // c == d",
                vec![Kind::Ident, Kind::LessEquals, Kind::Ident],
            ),
            ("1.a", vec![Kind::Int, Kind::Dot, Kind::Ident]),
        ] {
            let (tokens, mistakes) = read(text);
            let found: Vec<Kind> = tokens.into_iter().map(|(kind, _)| kind).collect();
            assert_eq!(found, [kinds, vec![Kind::Eof]].concat(), "{text}");
            assert!(mistakes.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_begins_no_word_is_left_out() {
        for (text, wrong) in [
            ("a @ b", vec!["@"]),
            ("a & b", vec!["& "]),
            ("'abc", vec!["'abc"]),
            (r"'\d'", vec![r"'\d", "'"]),
            ("a = b", vec!["= "]),
        ] {
            let wanted: Vec<String> = wrong
                .iter()
                .map(|text| format!("Syntax error: token recognition error at: '{text}'"))
                .collect();
            assert_eq!(read(text).1, wanted, "{text}");
        }
    }
}
