//! Just enough DER to read a certificate request: its subject and its alternative names.
//!
//! Source: RFC 2986, RFC 5280 (section 4.2.1.6), X.690.

use super::CertificateRequest;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed.
const ATTRIBUTES: u8 = 0xa0;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// 1.2.840.113549.1.9.14
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Reads a request; `None` when it is none.
pub(super) fn read(bytes: &[u8]) -> Option<CertificateRequest> {
    let (request, rest) = expect(bytes, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let (info, _) = expect(request, SEQUENCE)?;
    let (_version, info) = expect(info, INTEGER)?;
    let (subject, info) = expect(info, SEQUENCE)?;
    let (_key, info) = expect(info, SEQUENCE)?;
    let mut read = CertificateRequest::default();
    for name in items(subject, SET)? {
        for attribute in items(name, SEQUENCE)? {
            let (id, value) = expect(attribute, OBJECT_ID)?;
            let (_, text, _) = element(value)?;
            let text = String::from_utf8(text.to_vec()).ok()?;
            match id {
                COMMON_NAME => read.common_name = text,
                ORGANIZATION => read.organizations.push(text),
                _ => {}
            }
        }
    }
    if let Some((attributes, _)) = expect(info, ATTRIBUTES) {
        for attribute in items(attributes, SEQUENCE)? {
            let (id, values) = expect(attribute, OBJECT_ID)?;
            if id == EXTENSION_REQUEST {
                let (values, _) = expect(values, SET)?;
                read_extensions(values, &mut read)?;
            }
        }
    }
    Some(read)
}

fn read_extensions(values: &[u8], read: &mut CertificateRequest) -> Option<()> {
    for list in items(values, SEQUENCE)? {
        for extension in items(list, SEQUENCE)? {
            let (id, rest) = expect(extension, OBJECT_ID)?;
            let rest = expect(rest, BOOLEAN).map_or(rest, |(_critical, rest)| rest);
            let (value, _) = expect(rest, OCTET_STRING)?;
            if id == ALTERNATIVE_NAMES {
                let (names, _) = expect(value, SEQUENCE)?;
                read_names(names, read)?;
            }
        }
    }
    Some(())
}

fn read_names(mut names: &[u8], read: &mut CertificateRequest) -> Option<()> {
    while !names.is_empty() {
        let (tag, value, rest) = element(names)?;
        let text = || String::from_utf8(value.to_vec()).ok();
        match tag {
            0x81 => read.emails.push(text()?),
            0x82 => read.dns_names.push(text()?),
            0x86 => read.uris.push(text()?),
            0x87 => read.addresses.push(value.to_vec()),
            _ => {}
        }
        names = rest;
    }
    Some(())
}

/// The contents of all elements, which must be of one tag.
fn items(mut bytes: &[u8], tag: u8) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (item, rest) = expect(bytes, tag)?;
        items.push(item);
        bytes = rest;
    }
    Some(items)
}

/// The content of the first element when it has that tag, and what follows.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The first element: tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
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
