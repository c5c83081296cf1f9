//! Indenting JSON as it comes, piece by piece, without reading what it means.
//!
//! Source: Go's `encoding/json` `Indent` with two spaces, which upstream's answers for people are written with.

/// What indents one document.
#[derive(Debug, Default)]
pub struct Indenter {
    depth: usize,
    /// The last thing was an opening bracket, which may yet be closed at once.
    has_opened: bool,
    in_text: bool,
    /// The last byte of a text was a backslash.
    is_escaped: bool,
}

impl Indenter {
    /// A whole document.
    pub fn document(json: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Self::default().push(json, &mut out);
        out
    }

    /// Adds the next piece of the document to `out`, indented. Pieces may be cut anywhere.
    pub fn push(&mut self, mut json: &[u8], out: &mut Vec<u8>) {
        out.reserve(json.len() + json.len() / 2);
        while let Some((&byte, rest)) = json.split_first() {
            if self.in_text {
                json = self.text(json, out);
            } else {
                self.byte(byte, out);
                json = rest;
            }
        }
    }

    /// Copies what of a text there is; gives what is left.
    fn text<'a>(&mut self, json: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let is_end = |byte: &u8| {
            let is_plain_quote = *byte == b'"' && !self.is_escaped;
            self.is_escaped = *byte == b'\\' && !self.is_escaped;
            is_plain_quote
        };
        let end = json.iter().position(is_end).map(|at| at + 1);
        self.in_text = end.is_none();
        let (text, rest) = json.split_at(end.unwrap_or(json.len()));
        out.extend_from_slice(text);
        rest
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !std::mem::take(&mut self.has_opened) {
                    self.line(out);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                self.line(out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                if std::mem::take(&mut self.has_opened) {
                    self.line(out);
                }
                out.push(byte);
                self.in_text = byte == b'"';
                if matches!(byte, b'{' | b'[') {
                    self.depth += 1;
                    self.has_opened = true;
                }
            }
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(*b"  ", self.depth).flatten());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sample() -> Value {
        json!({"a": [], "b": {}, "c": [1, -2.5e3, true, null, "x"], "d": {"e": [{"f": "{\"[,:]\\"}, [[]]]}, "g": "\u{e9}\n"})
    }

    #[test]
    fn what_is_indented_is_as_serde_writes_it() {
        let value = sample();
        let indented = Indenter::document(value.to_string().as_bytes());
        let wanted = format!("{value:#}");
        assert_eq!(String::from_utf8(indented).unwrap(), wanted);
        let again = Indenter::document(wanted.as_bytes());
        assert_eq!(String::from_utf8(again).unwrap(), wanted);
        assert_eq!(Indenter::document(b"7"), b"7");
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let text = sample().to_string();
        let whole = Indenter::document(text.as_bytes());
        for size in 1..text.len() {
            let (mut indenter, mut out) = (Indenter::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                indenter.push(piece, &mut out);
            }
            assert_eq!(out, whole);
        }
    }
}
