//! Whether certificate and key of a TLS secret can be used together, and in upstream's words why not.
//!
//! Keys that do not carry their public half are not computed with: nothing is said of them.
//!
//! Source: Go's `tls.X509KeyPair`, `x509.ParseCertificate`, `encoding/pem`; RFC 5280, 5208, 8017, 5915.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::der::{BIT_STRING, INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE, expect};

const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.3.101.110
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
/// The curves that Go's `x509` knows: P-224, P-256, P-384, P-521.
const CURVES: [&[u8]; 4] = [
    &[0x2b, 0x81, 0x04, 0x00, 0x21],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
    &[0x2b, 0x81, 0x04, 0x00, 0x22],
    &[0x2b, 0x81, 0x04, 0x00, 0x23],
];
/// `[0]` and `[1]`, constructed.
const FIRST: u8 = 0xa0;
const SECOND: u8 = 0xa1;

/// A public key, or the public half of a private one; `None` where that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Public<'a> {
    /// By its modulus.
    Rsa(&'a [u8]),
    /// By its point.
    Ec(Option<&'a [u8]>),
    Ed25519(Option<&'a [u8]>),
    Other,
}

/// What is wrong with a certificate and a key, both as PEM; `None` for a pair, and where that cannot be told.
pub(super) fn problem(certificate: &[u8], key: &[u8]) -> Option<String> {
    pair(certificate, key).err()
}

fn pair(certificate: &[u8], key: &[u8]) -> Result<(), String> {
    let certificates = blocks(&String::from_utf8_lossy(certificate));
    let found = certificates.iter().find(|(kind, _)| kind == CERTIFICATE);
    let (_, der) = found.ok_or_else(|| no_certificate(&kinds(&certificates)))?;
    let keys = blocks(&String::from_utf8_lossy(key));
    let is_key = |kind: &str| kind == KEY || kind.ends_with(&format!(" {KEY}"));
    let key = keys.iter().find(|(kind, _)| is_key(kind));
    let (_, key) = key.ok_or_else(|| no_key(&kinds(&keys)))?;
    let public = public_key(der)?;
    let private = private_key(key)?;
    let matches = match (public, private) {
        (Public::Other, _) => return Err("tls: unknown public key algorithm".to_owned()),
        (Public::Ec(_), Public::Ec(None)) | (Public::Ed25519(_), Public::Ed25519(None)) => true,
        (Public::Rsa(_), Public::Rsa(_))
        | (Public::Ec(_), Public::Ec(_))
        | (Public::Ed25519(_), Public::Ed25519(_)) => public == private,
        _ => return Err("tls: private key type does not match public key type".to_owned()),
    };
    matches
        .then_some(())
        .ok_or_else(|| "tls: private key does not match public key".to_owned())
}

fn kinds(blocks: &[(String, Vec<u8>)]) -> Vec<&str> {
    blocks.iter().map(|(kind, _)| kind.as_str()).collect()
}

fn no_certificate(kinds: &[&str]) -> String {
    match kinds {
        [] => "tls: failed to find any PEM data in certificate input".to_owned(),
        [one] if one.ends_with(KEY) => {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned()
        }
        kinds => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]",
            kinds.join(" ")
        ),
    }
}

fn no_key(kinds: &[&str]) -> String {
    match kinds {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [CERTIFICATE] => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        kinds => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]",
            kinds.join(" ")
        ),
    }
}

/// The blocks of a PEM text, each with what its first line says it is. What is no block is passed over.
pub(crate) fn blocks(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut lines = text.lines().map(str::trim_end);
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let kind = line.strip_prefix("-----BEGIN ");
        let Some(kind) = kind.and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let end = format!("-----END {kind}-----");
        let mut ahead = lines.clone();
        let body: Vec<&str> = ahead.by_ref().take_while(|line| *line != end).collect();
        let is_ended = text.lines().any(|line| line.trim_end() == end);
        let is_body = |line: &&&str| !line.contains(':');
        let joined: String = body.iter().filter(is_body).copied().collect();
        let der = STANDARD.decode(joined.replace([' ', '\t'], ""));
        if let (Ok(der), true) = (der, is_ended) {
            blocks.push((kind.to_owned(), der));
            lines = ahead;
        }
    }
    blocks
}

/// The public key of a certificate.
fn public_key(der: &[u8]) -> Result<Public<'_>, String> {
    let malformed = || "x509: malformed certificate".to_owned();
    let (certificate, rest) = expect(der, SEQUENCE).ok_or_else(malformed)?;
    if !rest.is_empty() {
        return Err("x509: trailing data".to_owned());
    }
    let (body, _) = expect(certificate, SEQUENCE)
        .ok_or_else(|| "x509: malformed tbs certificate".to_owned())?;
    let (algorithm, key) = key_information(body).ok_or_else(malformed)?;
    let (id, parameters) = expect(algorithm, OBJECT_ID).ok_or_else(malformed)?;
    match id {
        RSA => modulus(key, 0).map(Public::Rsa).ok_or_else(malformed),
        EC => {
            let curve = expect(parameters, OBJECT_ID).map(|(curve, _)| curve);
            if !curve.is_some_and(|curve| CURVES.contains(&curve)) {
                return Err("x509: unsupported elliptic curve".to_owned());
            }
            Ok(Public::Ec(Some(key)))
        }
        ED25519 => Ok(Public::Ed25519(Some(key))),
        _ => Ok(Public::Other),
    }
}

/// Algorithm and key of a certificate's body.
fn key_information(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = expect(body, FIRST).map_or(body, |(_version, body)| body);
    let (_serial, mut body) = expect(body, INTEGER)?;
    // Signature algorithm, issuer, validity and subject.
    for _ in 0..4 {
        (_, body) = expect(body, SEQUENCE)?;
    }
    let (information, _) = expect(body, SEQUENCE)?;
    let (algorithm, key) = expect(information, SEQUENCE)?;
    let (key, _) = expect(key, BIT_STRING)?;
    Some((algorithm, key.get(1..)?))
}

/// The modulus in an RSA key, with so many numbers before it.
fn modulus(key: &[u8], skipped: usize) -> Option<&[u8]> {
    let (mut numbers, _) = expect(key, SEQUENCE)?;
    for _ in 0..skipped {
        (_, numbers) = expect(numbers, INTEGER)?;
    }
    expect(numbers, INTEGER).map(|(modulus, _)| modulus)
}

/// The public half of a private key in any of the forms that Go reads.
fn private_key(der: &[u8]) -> Result<Public<'_>, String> {
    const FAILED: &str = "tls: failed to parse private key";
    if let Some(modulus) = modulus(der, 1).filter(|_| wrapped(der).is_none()) {
        return Ok(Public::Rsa(modulus));
    }
    let Some((algorithm, parameters, key)) = wrapped(der) else {
        let Elliptic { curve, point } = elliptic(der).ok_or_else(|| FAILED.to_owned())?;
        if !curve.is_some_and(|curve| CURVES.contains(&curve)) {
            return Err(format!(
                "{FAILED}: x509: failed to parse private key (use ParseECPrivateKey instead for this key format)"
            ));
        }
        return Ok(Public::Ec(point));
    };
    let failed = || FAILED.to_owned();
    match algorithm {
        RSA => modulus(key, 1).map(Public::Rsa).ok_or_else(failed),
        EC => {
            let curve = expect(parameters, OBJECT_ID).map(|(curve, _)| curve);
            let Elliptic { point, .. } = elliptic(key).ok_or_else(failed)?;
            let is_known = curve.is_some_and(|curve| CURVES.contains(&curve));
            is_known.then_some(Public::Ec(point)).ok_or_else(failed)
        }
        ED25519 => Ok(Public::Ed25519(None)),
        X25519 => Err("tls: found unknown private key type in PKCS#8 wrapping".to_owned()),
        other => Err(format!(
            "{FAILED}: x509: PKCS#8 wrapping contained private key with unknown algorithm: {}",
            dotted(other)
        )),
    }
}

/// Algorithm, its parameters and the key in a PKCS #8 wrapping.
fn wrapped(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (wrapping, _) = expect(der, SEQUENCE)?;
    let (_version, rest) = expect(wrapping, INTEGER)?;
    let (algorithm, rest) = expect(rest, SEQUENCE)?;
    let (id, parameters) = expect(algorithm, OBJECT_ID)?;
    let (key, _) = expect(rest, OCTET_STRING)?;
    Some((id, parameters, key))
}

/// What an elliptic key says besides its secret; either may be left out.
struct Elliptic<'a> {
    curve: Option<&'a [u8]>,
    point: Option<&'a [u8]>,
}

fn elliptic(der: &[u8]) -> Option<Elliptic<'_>> {
    let (key, _) = expect(der, SEQUENCE)?;
    let (_version, rest) = expect(key, INTEGER)?;
    let (_secret, rest) = expect(rest, OCTET_STRING)?;
    let (curve, rest) = match expect(rest, FIRST) {
        Some((curve, rest)) => (expect(curve, OBJECT_ID).map(|(curve, _)| curve), rest),
        None => (None, rest),
    };
    let point = expect(rest, SECOND).and_then(|(point, _)| expect(point, BIT_STRING));
    let point = point.and_then(|(point, _)| point.get(1..));
    Some(Elliptic { curve, point })
}

/// An object identifier as numbers with dots.
fn dotted(id: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number: u64 = 0;
    for byte in id {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.extend([first, number - first * 40]);
            } else {
                numbers.push(number);
            }
            number = 0;
        }
    }
    let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
    texts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of DER, of at most 127 bytes.
    fn element(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let content = parts.concat();
        let mut element = vec![tag, u8::try_from(content.len()).unwrap()];
        element.extend(content);
        element
    }

    fn pem(kind: &str, der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n")
    }

    fn algorithm(id: &[u8], curve: &[u8]) -> Vec<u8> {
        let id = element(OBJECT_ID, &[id.to_vec()]);
        let curve = element(OBJECT_ID, &[curve.to_vec()]);
        element(SEQUENCE, &[id, curve])
    }

    /// A certificate with no more in it than its public key.
    fn certificate(id: &[u8], key: &[u8]) -> String {
        let key = element(BIT_STRING, &[vec![0], key.to_vec()]);
        let key = element(SEQUENCE, &[algorithm(id, CURVES[1]), key]);
        let empty = || element(SEQUENCE, &[]);
        let body = [
            element(INTEGER, &[vec![1]]),
            empty(),
            empty(),
            empty(),
            empty(),
            key,
        ];
        let body = element(SEQUENCE, &body);
        pem(CERTIFICATE, &element(SEQUENCE, &[body]))
    }

    fn rsa(numbers: &[u8]) -> Vec<u8> {
        let numbers: Vec<Vec<u8>> = numbers
            .iter()
            .map(|number| element(INTEGER, &[vec![*number]]))
            .collect();
        element(SEQUENCE, &numbers)
    }

    fn elliptic_key(curve: &[u8], point: &[u8]) -> Vec<u8> {
        let point = element(BIT_STRING, &[vec![0], point.to_vec()]);
        let parts = [
            element(INTEGER, &[vec![1]]),
            element(OCTET_STRING, &[vec![7]]),
            element(FIRST, &[element(OBJECT_ID, &[curve.to_vec()])]),
            element(SECOND, &[point]),
        ];
        element(SEQUENCE, &parts)
    }

    fn wrapping(id: &[u8], key: Vec<u8>) -> String {
        let parts = [
            element(INTEGER, &[vec![0]]),
            algorithm(id, CURVES[1]),
            element(OCTET_STRING, &[key]),
        ];
        pem(KEY, &element(SEQUENCE, &parts))
    }

    fn said(certificate: &str, key: &str) -> String {
        problem(certificate.as_bytes(), key.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn a_key_is_that_of_its_certificate() {
        const ANOTHER: &str = "tls: private key does not match public key";
        const SORT: &str = "tls: private key type does not match public key type";
        let point = certificate(EC, b"point");
        let number = certificate(RSA, &rsa(&[9, 3]));
        let key = |point: &[u8]| pem("EC PRIVATE KEY", &elliptic_key(CURVES[1], point));
        let wrapped = |point: &[u8]| wrapping(EC, elliptic_key(CURVES[1], point));
        for (certificate, key, words) in [
            (&point, key(b"point"), ""),
            (&point, wrapped(b"point"), ""),
            (&point, wrapped(b"other"), ANOTHER),
            (&point, wrapping(RSA, rsa(&[0, 9, 3])), SORT),
            (&number, wrapping(RSA, rsa(&[0, 9, 3])), ""),
            (&number, pem("RSA PRIVATE KEY", &rsa(&[0, 9, 3])), ""),
            (&number, pem("RSA PRIVATE KEY", &rsa(&[0, 8, 3])), ANOTHER),
            (&number, wrapping(ED25519, vec![4, 0]), SORT),
            (
                &certificate(ED25519, b"x"),
                wrapping(ED25519, vec![4, 0]),
                "",
            ),
        ] {
            assert_eq!(said(certificate, &key), words, "{certificate}{key}");
        }
    }

    #[test]
    fn keys_of_sorts_that_nobody_uses_are_told() {
        let certificate = certificate(EC, b"point");
        let unknown = "tls: failed to parse private key: x509: PKCS#8 wrapping contained private key with unknown algorithm: 1.3.101.113";
        let curve = "tls: failed to parse private key: x509: failed to parse private key (use ParseECPrivateKey instead for this key format)";
        let unused = "tls: found unknown private key type in PKCS#8 wrapping";
        for (key, words) in [
            (wrapping(X25519, vec![4, 0]), unused),
            (wrapping(&[0x2b, 0x65, 0x71], vec![4, 0]), unknown),
            (pem("EC PRIVATE KEY", &elliptic_key(&[1], b"point")), curve),
            (pem(KEY, &[0, 0, 0]), "tls: failed to parse private key"),
        ] {
            assert_eq!(said(&certificate, &key), words);
        }
    }

    #[test]
    fn what_is_no_certificate_or_no_key_is_told_by_its_sort() {
        let certificate = certificate(EC, b"point");
        let key = wrapping(EC, elliptic_key(CURVES[1], b"point"));
        let (other, broken) = (pem("A", b"a"), pem(CERTIFICATE, b"a"));
        let switched = "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched";
        let skipped = "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [A]";
        let is_certificate =
            "tls: found a certificate rather than a key in the PEM for the private key";
        for (one, two, words) in [
            (
                "x",
                &*key,
                "tls: failed to find any PEM data in certificate input",
            ),
            (
                &certificate,
                "",
                "tls: failed to find any PEM data in key input",
            ),
            (&key, &certificate, switched),
            (&certificate, &certificate, is_certificate),
            (&other, &key, skipped),
            (&broken, &key, "x509: malformed certificate"),
        ] {
            assert_eq!(said(one, two), words);
        }
        let both = [&*other, &certificate].concat();
        assert_eq!(said(&both, &[&*other, &key].concat()), "");
    }

    #[test]
    fn identifiers_are_shown_with_dots() {
        assert_eq!(dotted(RSA), "1.2.840.113549.1.1.1");
        assert_eq!(dotted(X25519), "1.3.101.110");
    }
}
