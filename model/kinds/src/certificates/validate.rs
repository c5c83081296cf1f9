//! What is wrong with a CertificateSigningRequest. Source: `validateCertificateSigningRequest`.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::der::{BIT_STRING, INTEGER, SEQUENCE, expect};
use meta::{FieldError, Object, ObjectExt as _, names};
use serde_json::Value;

use crate::check::{Errors, Node};
use crate::core::pem;

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const SIGNER_BYTES_MAX: usize = 571;

/// A request as it stands.
pub(super) fn check(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    if let Some(why) = request_problem(spec.text("request")) {
        errors.push(FieldError::invalid(
            &spec.at("request"),
            spec.text("request"),
            why,
        ));
    }
    let usages = spec.texts("usages");
    if usages.is_empty() {
        errors.push(FieldError::required(&spec.at("usages"), ""));
    }
    for (index, usage) in usages.iter().enumerate() {
        if !USAGES.contains(usage) {
            errors.push(FieldError::not_supported(
                &spec.at("usages").index(index),
                *usage,
                &USAGES,
            ));
        }
    }
    let mut known = BTreeSet::new();
    for (index, usage) in usages.iter().enumerate() {
        if !known.insert(*usage) {
            errors.push(FieldError::duplicate(
                &spec.at("usages").index(index),
                *usage,
            ));
        }
    }
    if spec.text("signerName") == "kubernetes.io/legacy-unknown" {
        let why = "the legacy signerName is not allowed via this API version";
        errors.push(FieldError::invalid(
            &spec.at("signerName"),
            spec.text("signerName"),
            why,
        ));
    } else {
        signer_name(&spec, &mut errors);
    }
    if let Some(seconds) = spec
        .int("expirationSeconds")
        .filter(|seconds| *seconds < 600)
    {
        let why = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(FieldError::invalid(
            &spec.at("expirationSeconds"),
            seconds,
            why,
        ));
    }
    conditions(object, &mut errors);
    errors
}

/// Looks at the envelope and what it is made of; who is meant, and whether it is signed, is the signer's to judge.
///
/// Source: `certificates.ParseCSR`; Go says more of DER that is none.
fn request_problem(request: &str) -> Option<&'static str> {
    let bytes = STANDARD.decode(request).unwrap_or_default();
    let blocks = pem(&String::from_utf8_lossy(&bytes));
    match blocks.first() {
        Some((kind, der)) if kind == "CERTIFICATE REQUEST" => {
            if der.is_empty() {
                return Some("asn1: syntax error: sequence truncated");
            }
            (!is_request(der)).then_some("x509: malformed certificate request")
        }
        _ => Some("PEM block type must be CERTIFICATE REQUEST"),
    }
}

/// Whether DER is made as a certificate request is: what is asked for, an algorithm and a signature.
fn is_request(der: &[u8]) -> bool {
    let read = || {
        let (whole, rest) = expect(der, SEQUENCE)?;
        let (wanted, whole) = expect(whole, SEQUENCE)?;
        let (_, whole) = expect(whole, SEQUENCE)?;
        let (_, end) = expect(whole, BIT_STRING)?;
        let (_, wanted) = expect(wanted, INTEGER)?;
        let (_, wanted) = expect(wanted, SEQUENCE)?;
        expect(wanted, SEQUENCE)?;
        Some(rest.is_empty() && end.is_empty())
    };
    read().unwrap_or_default()
}

/// Source: `ValidateSignerName`.
fn signer_name(spec: &Node<'_>, errors: &mut Errors) {
    let name = spec.text("signerName");
    let path = spec.at("signerName");
    if name.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, rest] = parts.as_slice() else {
        let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(FieldError::invalid(&path, name, why));
        return;
    };
    if domain.len() > names::DNS1123_SUBDOMAIN_BYTES_MAX {
        errors.push(FieldError::too_long(
            &path,
            names::DNS1123_SUBDOMAIN_BYTES_MAX,
        ));
    }
    segment(&path, domain, names::dns1123_label, errors);
    if domain.split('.').count() < 2 {
        let why = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(&path, *domain, why));
    }
    segment(&path, rest, names::dns1123_subdomain, errors);
    if name.len() > SIGNER_BYTES_MAX {
        errors.push(FieldError::too_long(&path, SIGNER_BYTES_MAX));
    }
}

/// One half of a signer's name: its labels, of which the first that is wrong is told.
fn segment(
    path: &meta::Path,
    segment: &str,
    check: impl Fn(&str) -> Vec<String>,
    errors: &mut Errors,
) {
    let wrong = segment.split('.').map(|label| (label, check(label)));
    let wrong = wrong
        .into_iter()
        .find(|(_, complaints)| !complaints.is_empty());
    for (label, why) in wrong
        .into_iter()
        .flat_map(|(label, complaints)| complaints.into_iter().map(move |why| (label, why)))
    {
        let why = format!("validating label {}: {why}", meta::field::quote(label));
        errors.push(FieldError::invalid(path, segment, why));
    }
}

fn conditions(object: &Object, errors: &mut Errors) {
    let status = Node::root(object).child("status");
    let mut known = BTreeSet::new();
    for condition in status.items("conditions") {
        let kind = condition.text("type");
        condition.needs("type", errors);
        match condition.text("status") {
            "" => condition.needs("status", errors),
            "True" => {}
            other if matches!(kind, "Approved" | "Denied" | "Failed") => {
                errors.push(FieldError::not_supported(
                    &condition.at("status"),
                    other,
                    &["True"],
                ));
            }
            _ => condition.one_of("status", &["False", "True", "Unknown"], errors),
        }
        if !known.insert(kind) {
            errors.push(FieldError::duplicate(&condition.at("type"), kind));
        }
    }
    if known.contains("Approved") && known.contains("Denied") {
        let why = "Approved and Denied conditions are mutually exclusive";
        errors.push(FieldError::invalid(
            &status.at("conditions"),
            status.child("conditions").value.clone(),
            why,
        ));
    }
}

/// What became of a request stays: nobody takes it back, and only who may decide it does.
pub(super) fn change(new: &Object, old: &Object, subresource: Option<&str>) -> Errors {
    let mut errors = check(new);
    let path = meta::Path::new("status").child("conditions");
    for kind in ["Approved", "Denied", "Failed"] {
        let was = of_kind(old, kind);
        let now = of_kind(new, kind);
        let is_decision = kind != "Failed" && subresource != Some("approval");
        let verb = match now.len().cmp(&was.len()) {
            Ordering::Less => "remove",
            Ordering::Greater if is_decision => "add",
            Ordering::Equal if now != was => "modify",
            _ => continue,
        };
        let kind = meta::field::quote(kind);
        let why = format!("updates may not {verb} a condition of type {kind}");
        errors.push(FieldError::forbidden(&path, why));
    }
    certificate(new, old, subresource, &mut errors);
    errors
}

fn of_kind<'a>(object: &'a Object, kind: &str) -> Vec<&'a Value> {
    let conditions = object.list_at(&["status", "conditions"]).iter();
    conditions
        .filter(|one| one.str_at(&["type"]) == Some(kind))
        .collect()
}

/// The kinds of the PEM blocks of a text.
fn pem_blocks(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_end);
    let kinds = lines.filter_map(|line| {
        let kind = line.strip_prefix("-----BEGIN ")?;
        kind.strip_suffix("-----")
    });
    kinds.map(str::to_owned).collect()
}

/// Through its status, a request is given a certificate once.
fn certificate(new: &Object, old: &Object, subresource: Option<&str>, errors: &mut Errors) {
    let text = |object: &Object| {
        let text = object.str_at(&["status", "certificate"]);
        text.unwrap_or_default().to_owned()
    };
    let (now, was) = (text(new), text(old));
    if now == was {
        return;
    }
    let path = meta::Path::new("status").child("certificate");
    let bytes = STANDARD.decode(&now).unwrap_or_default();
    let blocks = pem_blocks(&String::from_utf8_lossy(&bytes));
    let why = match blocks.iter().find(|kind| *kind != "CERTIFICATE") {
        Some(other) => {
            let other = meta::field::quote(other);
            Some(format!(
                "only CERTIFICATE PEM blocks are allowed, found {other}"
            ))
        }
        None if blocks.is_empty() => {
            Some("must contain at least one CERTIFICATE PEM block".to_owned())
        }
        None => None,
    };
    if let Some(why) = why.filter(|_| !now.is_empty()) {
        errors.push(FieldError::invalid(&path, "<certificate data>", why));
    }
    if subresource != Some("status") {
        errors.push(FieldError::forbidden(
            &path,
            "updates may not set certificate content",
        ));
    } else if !was.is_empty() {
        let why = "updates may not modify existing certificate content";
        errors.push(FieldError::forbidden(&path, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signers_name_is_checked_label_by_label() {
        let why = |text: &str| {
            let mut errors = Errors::new();
            segment(
                &meta::Path::new("x"),
                text,
                names::dns1123_label,
                &mut errors,
            );
            errors.pop().map(|error| error.detail).unwrap_or_default()
        };
        assert_eq!(why("example.com"), "");
        let words = "validating label \"UP\": a lowercase RFC 1123 label must consist";
        assert!(why("UP.Com").starts_with(words));
    }

    #[test]
    fn pem_blocks_are_told_by_their_first_lines() {
        let text = "x\n-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n-----BEGIN RSA KEY-----\n";
        assert_eq!(pem_blocks(text), ["CERTIFICATE", "RSA KEY"]);
    }
}
