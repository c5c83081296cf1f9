//! What the text of a literal stands for. Source: cel-go `parser/unescape.go`.

const UNABLE: &str = "unable to unescape string";
const NO_CODE_POINT: &str = "invalid unicode code point";

/// The bytes that a literal with quotes stands for; UTF-8 unless it is one of bytes.
pub(crate) fn unescape(text: &str, is_bytes: bool) -> Result<Vec<u8>, &'static str> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (is_raw, quoted) = match text.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let inside = ["\"\"\"", "'''", "\"", "'"].into_iter().find_map(|quote| {
        let rest = quoted.strip_prefix(quote)?;
        rest.strip_suffix(quote)
    });
    let inside = inside.ok_or(UNABLE)?;
    if is_raw || !inside.contains('\\') {
        return Ok(inside.as_bytes().to_vec());
    }
    let mut value = Vec::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        if c == '\\' {
            escaped(&mut rest, is_bytes, &mut value)?;
        } else {
            push(&mut value, c);
        }
    }
    Ok(value)
}

fn push(value: &mut Vec<u8>, c: char) {
    value.extend(c.encode_utf8(&mut [0; 4]).bytes());
}

fn escaped(
    rest: &mut std::str::Chars<'_>,
    is_bytes: bool,
    value: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let (radix, digits) = match rest.next().ok_or(UNABLE)? {
        'x' | 'X' => (16, 2),
        'u' if !is_bytes => (16, 4),
        'U' if !is_bytes => (16, 8),
        first @ '0'..='3' => {
            let rest: String = rest.by_ref().take(2).collect();
            return code(&format!("{first}{rest}"), 8, is_bytes, value);
        }
        simple => {
            const SIMPLE: [(char, u8); 12] = [
                ('a', 7),
                ('b', 8),
                ('f', 12),
                ('n', b'\n'),
                ('r', b'\r'),
                ('t', b'\t'),
                ('v', 11),
                ('\\', b'\\'),
                ('\'', b'\''),
                ('"', b'"'),
                ('`', b'`'),
                ('?', b'?'),
            ];
            let known = SIMPLE.iter().find(|(c, _)| *c == simple);
            value.push(known.ok_or(UNABLE)?.1);
            return Ok(());
        }
    };
    let text: String = rest.by_ref().take(digits).collect();
    code(&text, radix, is_bytes, value)
}

fn code(text: &str, radix: u32, is_bytes: bool, value: &mut Vec<u8>) -> Result<(), &'static str> {
    let number = u32::from_str_radix(text, radix).map_err(|_| UNABLE)?;
    if is_bytes {
        value.push(u8::try_from(number).map_err(|_| UNABLE)?);
    } else {
        push(value, char::from_u32(number).ok_or(NO_CODE_POINT)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_stand_for_bytes() {
        for (text, is_bytes, wanted) in [
            (r#""a\n\x41\u00e4""#, false, Ok("a\nA\u{e4}".as_bytes())),
            (r"r'\d'", false, Ok(br"\d".as_slice())),
            (r"'''it's'''", false, Ok(b"it's".as_slice())),
            (r"'\xff\101'", true, Ok(b"\xffA".as_slice())),
            (r"'\ud800'", false, Err(NO_CODE_POINT)),
            (r"'\u0041'", true, Err(UNABLE)),
            ("''", false, Ok(b"".as_slice())),
        ] {
            let found = unescape(text, is_bytes);
            assert_eq!(found.as_deref(), wanted.as_deref(), "{text}");
        }
    }
}
