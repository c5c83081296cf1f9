//! A certificate request in DER: its subject and its alternative names.
//!
//! Source: RFC 2986, RFC 5280 (section 4.2.1.6), X.690.

use meta::der::{INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE, element, expect, items};

use super::CertificateRequest;

const BOOLEAN: u8 = 0x01;
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
