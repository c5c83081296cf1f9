//! Certificate requests: what is taken from them into a certificate.
//!
//! The subject is taken byte by byte, for a user may be in several groups, and there are several ways to write that. Of
//! the extensions only the other names of the subject are taken. Source: `pkg/controller/certificates/authority`
//! `CertificateAuthority.Sign`.

use std::net::IpAddr;

use meta::der::{BIT_STRING, SEQUENCE, element};
use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, Error, Issuer, KeyPair, SanType, SigningKey,
    SubjectPublicKeyInfo,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

/// Where the subject stands in a certificate of version 3: behind version, serial number, algorithm, issuer and
/// validity. Source: RFC 5280, section 4.1.
const SUBJECT_PLACE: usize = 5;
/// The label of a certificate in PEM.
const CERTIFICATE: &str = "CERTIFICATE";

/// A request whose sender has shown to have its key.
pub(crate) struct Request {
    subject: Vec<u8>,
    names: Vec<SanType>,
    key: SubjectPublicKeyInfo,
}

impl Request {
    /// Reads a request, PEM.
    ///
    /// # Errors
    /// It cannot be read, or its signature is another key's.
    pub(crate) fn read(pem: &str) -> Result<Self, Error> {
        let unreadable = || Error::CouldNotParseCertificationRequest;
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|_| unreadable())?;
        let (_, request) =
            X509CertificationRequest::from_der(&pem.contents).map_err(|_| unreadable())?;
        let verified = request.verify_signature();
        verified.map_err(|_| Error::InvalidCertificationRequestSignature)?;
        let extensions = request.requested_extensions().into_iter().flatten();
        let names = extensions.filter_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        });
        let names = names
            .flatten()
            .filter_map(|name| other_name(name).transpose());
        let information = &request.certification_request_info;
        Ok(Self {
            names: names.collect::<Result<_, _>>()?,
            subject: information.subject.as_raw().to_vec(),
            key: SubjectPublicKeyInfo::from_der(information.subject_pki.raw)?,
        })
    }

    /// Signs a certificate for it, which has everything else from `params`; PEM.
    ///
    /// # Errors
    /// The certificate cannot be made.
    pub(crate) fn sign(
        self,
        mut params: CertificateParams,
        issuer: &Issuer<'static, KeyPair>,
    ) -> Result<String, Error> {
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = self.names;
        let nameless = params.signed_by(&self.key, issuer)?;
        let named = with_subject(nameless.der(), &self.subject, issuer.key())?;
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        Ok(encode_config(&Pem::new(CERTIFICATE, named), lines))
    }
}

/// A name that certificates take over; `None` for other sorts.
fn other_name(name: &GeneralName<'_>) -> Result<Option<SanType>, Error> {
    Ok(Some(match name {
        GeneralName::DNSName(name) => SanType::DnsName(Ia5String::try_from(*name)?),
        GeneralName::RFC822Name(name) => SanType::Rfc822Name(Ia5String::try_from(*name)?),
        GeneralName::URI(name) => SanType::URI(Ia5String::try_from(*name)?),
        GeneralName::IPAddress(bytes) => SanType::IpAddress(address(bytes)?),
        _ => return Ok(None),
    }))
}

fn address(bytes: &[u8]) -> Result<IpAddr, Error> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    address.map_err(|_| Error::InvalidIpAddressOctetLength(bytes.len()))
}

/// The same certificate for another subject, signed again.
fn with_subject(certificate: &[u8], subject: &[u8], key: &KeyPair) -> Result<Vec<u8>, Error> {
    let parts = parts(certificate)?;
    let [unsigned, algorithm, _] = parts.as_slice() else {
        return Err(Error::CouldNotParseCertificate);
    };
    let mut fields = self::parts(unsigned)?;
    let place = fields.get_mut(SUBJECT_PLACE);
    *place.ok_or(Error::CouldNotParseCertificate)? = subject;
    let unsigned = wrapped(SEQUENCE, &fields.concat());
    let signature = [&[0], key.sign(&unsigned)?.as_slice()].concat();
    let signature = wrapped(BIT_STRING, &signature);
    Ok(wrapped(
        SEQUENCE,
        &[&unsigned, *algorithm, &signature].concat(),
    ))
}

/// The elements of a sequence, each with its tag and length.
fn parts(sequence: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let broken = || Error::CouldNotParseCertificate;
    let (_, mut rest, _) = element(sequence).ok_or_else(broken)?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (_, _, behind) = element(rest).ok_or_else(broken)?;
        parts.extend(rest.get(..rest.len() - behind.len()));
        rest = behind;
    }
    Ok(parts)
}

/// An element of this tag.
fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = length.iter().skip_while(|digit| **digit == 0);
    let mut bytes = vec![tag];
    if let Ok(short @ ..0x80) = u8::try_from(content.len()) {
        bytes.push(short);
    } else {
        let count = u8::try_from(digits.clone().count()).unwrap_or_default();
        bytes.push(0x80 | count);
        bytes.extend(digits);
    }
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_comes_back_whatever_its_length() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let content = vec![7; length];
            let bytes = wrapped(SEQUENCE, &content);
            assert_eq!(element(&bytes), Some((SEQUENCE, &*content, &[][..])));
        }
    }
}
