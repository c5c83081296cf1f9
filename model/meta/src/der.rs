//! Just enough DER to walk through certificates, keys and requests. Source: X.690.

/// `INTEGER`.
pub const INTEGER: u8 = 0x02;
/// `BIT STRING`, whose first byte counts the bits at its end that are none.
pub const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`.
pub const OCTET_STRING: u8 = 0x04;
/// `OBJECT IDENTIFIER`.
pub const OBJECT_ID: u8 = 0x06;
/// `SEQUENCE`.
pub const SEQUENCE: u8 = 0x30;

/// The contents of all elements, which must be of one tag.
pub fn items(mut bytes: &[u8], tag: u8) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (item, rest) = expect(bytes, tag)?;
        items.push(item);
        bytes = rest;
    }
    Some(items)
}

/// The content of the first element when it has that tag, and what follows.
pub fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The first element: tag, content, and what follows.
pub fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let digits = usize::from(*first & 0x7f);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(digits)?;
        let length = digits.iter().fold(0, |length: usize, digit| {
            (length << 8) | usize::from(*digit)
        });
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_one_by_one_and_never_past_the_end() {
        let bytes = [INTEGER, 1, 5, INTEGER, 0x81, 1, 7];
        assert_eq!(items(&bytes, INTEGER).unwrap(), [[5], [7]]);
        assert_eq!(items(&bytes, SEQUENCE), None);
        for broken in [
            &[][..],
            &[2],
            &[2, 1],
            &[2, 0x80],
            &[2, 0x85, 1],
            &[2, 0x82, 1],
        ] {
            assert_eq!(element(broken), None);
        }
    }
}
