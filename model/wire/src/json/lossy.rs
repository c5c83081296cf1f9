//! Texts that are no Unicode, which Go's reader takes all the same: what cannot be is shown as U+FFFD.

/// The same document with readable texts; `None` when they are readable.
///
/// Source: Go's `encoding/json`, `unquote`.
pub(super) fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let mended = with_whole_pairs(text.as_bytes());
    (mended != bytes).then_some(mended)
}

/// Replaces each half of a surrogate pair that stands alone.
fn with_whole_pairs(mut rest: &[u8]) -> Vec<u8> {
    let mut mended = Vec::with_capacity(rest.len());
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escaped) = rest.split_at(at);
        mended.extend_from_slice(before);
        let length = match (unit(escaped), escaped.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.extend_from_slice(b"\\ufffd");
                rest = escaped.get(6..).unwrap_or_default();
                continue;
            }
            _ => 2,
        };
        let (whole, after) = escaped.split_at(length.min(escaped.len()));
        mended.extend_from_slice(whole);
        rest = after;
    }
    mended.extend_from_slice(rest);
    mended
}

/// The UTF-16 unit that is escaped at the start.
fn unit(escaped: &[u8]) -> Option<u16> {
    let digits = escaped.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn what_is_no_text_is_replaced_and_what_is_stays() {
        let cases: [(&[u8], &str); 5] = [
            (b"\"a\xff\xfe\"", "a\u{fffd}\u{fffd}"),
            (br#""\ud800""#, "\u{fffd}"),
            (br#""\udc00\ud800x""#, "\u{fffd}\u{fffd}x"),
            (br#""\ud83d\ude00""#, "\u{1f600}"),
            (br#""\\ud800""#, r"\ud800"),
        ];
        for (bytes, text) in cases {
            assert_eq!(read(bytes).unwrap().value, text);
        }
    }

    #[test]
    fn what_is_no_json_is_told_of_as_it_came() {
        assert!(read(b"\xff").is_err());
        assert!(
            read(b"{\"a\xff\": tru}")
                .unwrap_err()
                .contains("in literal true")
        );
    }
}
