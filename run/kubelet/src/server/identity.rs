//! Who asks: the user in the client's certificate.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{KubeletError, Serving};

/// The group that may do anything.
const MASTERS: &str = "system:masters";

/// A user and the groups it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    name: String,
    groups: Vec<String>,
}

impl User {
    /// Whether it may ask this port for anything.
    pub(super) fn may_ask(&self, serving: &Serving) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
            || serving.client_users.contains(&self.name)
    }
}

/// TLS that wants certificates of the clients' authority, and lets those without one ask for health.
pub(super) fn tls(serving: &Serving) -> Result<ServerConfig, KubeletError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(serving.client_authority.as_bytes()) {
        let certificate = certificate.map_err(|_| KubeletError::ClientAuthority)?;
        roots.add(certificate).map_err(KubeletError::Tls)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier
        .allow_unauthenticated()
        .build()
        .map_err(|_| KubeletError::ClientAuthority)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(KubeletError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&serving.certificate));
    // Streams are upgraded connections, which HTTP/2 does not have.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The user in a certificate: common name and organizations.
pub(super) fn user(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject
        .iter_common_name()
        .find_map(|name| name.as_str().ok())?;
    let groups = subject
        .iter_organization()
        .filter_map(|group| group.as_str().ok());
    Some(User {
        name: name.to_owned(),
        groups: groups.map(str::to_owned).collect(),
    })
}
