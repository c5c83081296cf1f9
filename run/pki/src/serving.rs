//! Certificates in use by a listener or a client: replaced while they are in use.

use std::sync::{Arc, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::authority::{KeyedCertificate, PkiError};

/// Hands the newest certificate to every TLS handshake, as server or as client.
#[derive(Debug)]
pub struct CurrentCertificate {
    current: RwLock<Arc<CertifiedKey>>,
}

impl CurrentCertificate {
    /// Starts with this certificate.
    ///
    /// # Errors
    /// The TLS library refuses it.
    pub fn new(certificate: &KeyedCertificate) -> Result<Arc<Self>, PkiError> {
        Ok(Arc::new(Self {
            current: RwLock::new(certified(certificate)?),
        }))
    }

    /// Uses another certificate from the next handshake on.
    ///
    /// # Errors
    /// The TLS library refuses it; the old one stays.
    pub fn replace(&self, certificate: &KeyedCertificate) -> Result<(), PkiError> {
        let next = certified(certificate)?;
        *self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = next;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for CurrentCertificate {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Certificate chain and key as the TLS library wants them.
///
/// # Errors
/// The PEM cannot be read.
pub fn parse(
    certificate: &KeyedCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PkiError> {
    let unreadable = |_| PkiError::Tls(rustls::Error::General("the PEM cannot be read".into()));
    let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).map_err(unreadable)?;
    Ok((chain, key))
}

fn certified(certificate: &KeyedCertificate) -> Result<Arc<CertifiedKey>, PkiError> {
    let (chain, key) = parse(certificate)?;
    let key = any_supported_type(&key).map_err(PkiError::Tls)?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// TLS settings of a client: it shows `certificate` and trusts servers that `authority` (PEM) signed.
///
/// # Errors
/// The PEM cannot be read, or the TLS library refuses it.
pub fn client(
    authority: &str,
    certificate: Arc<CurrentCertificate>,
) -> Result<Arc<rustls::ClientConfig>, PkiError> {
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority.as_bytes()) {
        let root = root.map_err(|_| {
            PkiError::Tls(rustls::Error::General(
                "the authority cannot be read".into(),
            ))
        })?;
        roots.add(root).map_err(PkiError::Tls)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(PkiError::Tls)?
        .with_root_certificates(roots)
        .with_client_cert_resolver(certificate);
    Ok(Arc::new(config))
}
