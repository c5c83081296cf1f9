//! Whose client certificates are good: those that the authority signed for clients, or for anything.
//!
//! rustls takes none that is for anything, which Go's `x509` does; so the library below it is asked.

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext,
};

/// `id-kp-clientAuth`, 1.3.6.1.5.5.7.3.2 (RFC 5280, 4.2.1.12).
const CLIENT_AUTH: KeyPurposeId<'static> =
    KeyPurposeId::new(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]);
/// `anyExtendedKeyUsage`, 2.5.29.37.0 (RFC 5280, 4.2.1.12).
const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[0x55, 0x1d, 0x25, 0x00]);

/// Whether the first certificate of a chain is a client's that one of the authorities signed.
///
/// # Errors
/// What is wrong with it.
pub(super) fn verify(
    roots: &RootCertStore,
    own: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let own = EndEntityCert::try_from(own)?;
    let verified = own.verify_for_usage(
        algorithms.all,
        &roots.roots,
        between,
        now,
        ForClients,
        None,
        None,
    );
    verified.map(drop)
}

/// What each certificate of the chain may be for: what it does not say, clients, or anything.
///
/// Source: Go `crypto/x509` `checkChainForKeyUsage`.
struct ForClients;

impl ExtendedKeyUsageValidator for ForClients {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut present = Vec::new();
        for usage in usages {
            let usage = usage?;
            if usage == CLIENT_AUTH || usage == ANY {
                return Ok(());
            }
            present.push(usage.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = KeyUsage::client_auth();
        let context = RequiredEkuNotFoundContext { required, present };
        Err(Error::RequiredEkuNotFoundContext(context))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair,
    };

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_certificate_is_good_for_clients_if_it_is_for_them_for_anything_or_says_nothing() {
        let (authority, other) = (authority(), authority());
        let is_good = |usages: &[ExtendedKeyUsagePurpose]| {
            let mut params = CertificateParams::default();
            params.extended_key_usages = usages.to_vec();
            let key = KeyPair::generate().unwrap();
            let own = params.signed_by(&key, &authority).unwrap();
            let by = |authority: &CertifiedIssuer<'static, KeyPair>| {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).unwrap();
                verify(&roots, own.der(), &[], UnixTime::now()).is_ok()
            };
            assert!(!by(&other), "signed by another");
            by(&authority)
        };
        assert!(is_good(&[]) && is_good(&[ClientAuth]) && is_good(&[Any]));
        assert!(is_good(&[ServerAuth, Any]) && is_good(&[ServerAuth, ClientAuth]));
        assert!(!is_good(&[ServerAuth]) && !is_good(&[CodeSigning, ServerAuth]));
    }
}
