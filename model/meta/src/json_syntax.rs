//! Where bytes stop being JSON, in the words of Go's scanner. Source: encoding/json `scanner.go`.

/// What is wrong with bytes that are no JSON; `None` when Go would take them.
pub fn complaint(bytes: &[u8]) -> Option<String> {
    let mut scan = Scan { bytes, at: 0 };
    scan.document().err().map(|wrong| match wrong {
        Wrong::End => "unexpected end of JSON input".to_owned(),
        Wrong::Found(byte, place) => format!("invalid character {} {place}", quote(byte)),
    })
}

/// Go's `quoteChar`.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x20..=0x7e | 0xa1..=0xac | 0xae..=0xff => format!("'{}'", char::from(byte)),
        0x80..=0xa0 | 0xad => format!("'\\u{byte:04x}'"),
        other => format!("'\\x{other:02x}'"),
    }
}

enum Wrong {
    /// More should have come.
    End,
    /// This byte, where something else was expected.
    Found(u8, String),
}

type Scanned = Result<(), Wrong>;

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
    /// The next byte is none that may stand here.
    fn wrong<T>(&self, place: &str) -> Result<T, Wrong> {
        match self.peek() {
            None => Err(Wrong::End),
            Some(byte) => Err(Wrong::Found(byte, place.to_owned())),
        }
    }

    /// The next byte is none that may stand here, within a token: to Go, a blank follows the end.
    fn torn<T>(&self, place: &str) -> Result<T, Wrong> {
        let byte = self.peek().unwrap_or(b' ');
        Err(Wrong::Found(byte, place.to_owned()))
    }

    /// One value and nothing after it. Nesting is kept in a list, so that no input exhausts the stack.
    fn document(&mut self) -> Scanned {
        let mut open = Vec::new();
        loop {
            self.blanks();
            if self.value(&mut open)? {
                continue;
            }
            loop {
                self.blanks();
                let Some(container) = open.last().copied() else {
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => self.wrong("after top-level value"),
                    };
                };
                let (close, place) = if container == b'{' {
                    (b'}', "after object key:value pair")
                } else {
                    (b']', "after array element")
                };
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if container == b'{' {
                            self.key()?;
                        }
                        break;
                    }
                    Some(byte) if byte == close => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return self.wrong(place),
                }
            }
        }
    }

    /// A scalar or empty container (`false`), or the start of another container (`true`).
    fn value(&mut self, open: &mut Vec<u8>) -> Result<bool, Wrong> {
        match self.peek() {
            Some(start @ (b'{' | b'[')) => {
                self.at += 1;
                self.blanks();
                let close = if start == b'{' { b'}' } else { b']' };
                if self.peek() == Some(close) {
                    self.at += 1;
                    return Ok(false);
                }
                open.push(start);
                if start == b'{' {
                    self.key()?;
                }
                return Ok(true);
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            _ => return self.wrong("looking for beginning of value"),
        }
        Ok(false)
    }

    fn key(&mut self) -> Scanned {
        self.blanks();
        if self.peek() != Some(b'"') {
            return self.wrong("looking for beginning of object key string");
        }
        self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return self.wrong("after object key");
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Scanned {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.wrong("in string literal"),
            }
        }
    }

    fn escape(&mut self) -> Scanned {
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.torn("in \\u hexadecimal character escape");
                    }
                    self.at += 1;
                }
            }
            _ => return self.torn("in string escape code"),
        }
        Ok(())
    }

    fn number(&mut self) -> Scanned {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits("")?,
            _ => return self.torn("in numeric literal"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self, place: &str) -> Scanned {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.torn(place);
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Scanned {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let expected = char::from(expected);
                return self.torn(&format!("in literal {word} (expecting '{expected}')"));
            }
            self.at += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn the_first_wrong_byte_is_named_with_its_place() {
        let cases = [
            ("", "unexpected end of JSON input"),
            (r#"{"a":"#, "unexpected end of JSON input"),
            (
                "hello",
                "invalid character 'h' looking for beginning of value",
            ),
            (
                r#"{"a":1} x"#,
                "invalid character 'x' after top-level value",
            ),
            (
                r#"{"a":tru}"#,
                "invalid character '}' in literal true (expecting 'e')",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                "{'a':1}",
                r"invalid character '\'' looking for beginning of object key string",
            ),
            (
                r#"{"a":1 2}"#,
                "invalid character '2' after object key:value pair",
            ),
            (
                "nul",
                "invalid character ' ' in literal null (expecting 'l')",
            ),
            ("-", "invalid character ' ' in numeric literal"),
            ("\"a", "unexpected end of JSON input"),
            ("[1 2]", "invalid character '2' after array element"),
            (
                r#"{"a":1,}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            (
                "[1,]",
                "invalid character ']' looking for beginning of value",
            ),
            (
                "1.x",
                "invalid character 'x' after decimal point in numeric literal",
            ),
            ("\"a\nb\"", r"invalid character '\n' in string literal"),
            (r#""\q""#, "invalid character 'q' in string escape code"),
            (
                "\u{81}",
                "invalid character '\u{c2}' looking for beginning of value",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                complaint(text.as_bytes()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        assert_eq!(complaint(br#" {"a":[1,-2.5e+3,{}],"b":null} "#), None);
    }
}
