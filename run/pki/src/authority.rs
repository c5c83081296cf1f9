//! The certificate authority: made once, then used to issue leaf certificates.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use time::OffsetDateTime;

use crate::request::Request;

/// How long the authority is valid, in days. Source: kubeadm, ten years.
const AUTHORITY_DAYS: i64 = 3650;
/// How long a leaf is valid. Source: kubeadm, one year.
pub(crate) const LEAF_LIFE: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How far back certificates are valid, so that a clock a little behind still accepts them, in seconds.
const BACKDATE_SECONDS: i64 = 300;
const SECONDS_PER_DAY: i64 = 86_400;

/// What can go wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what it should; deleting it makes a new one (and invalidates what the old one signed).
    #[error("{} is damaged: restore it, or remove the directory to start with new keys", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The authority's certificate is of another key.
    #[error("{} is not the certificate of {}: restore one of them, or remove the directory to start with new keys",
        certificate.display(), key.display())]
    Strangers {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The authority's certificate is not good now, so that nobody would believe what it signed.
    #[error("{} is good from {from} to {to}, and it is {now}: set the clock, or remove the file to have another made for the same key",
        certificate.display())]
    Untimely {
        /// The certificate.
        certificate: PathBuf,
        /// When it begins.
        from: Timestamp,
        /// When it ends.
        to: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// A certificate could not be made.
    #[error("cannot issue a certificate for {subject}")]
    Issue {
        /// Whom it was for.
        subject: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The TLS library refused a certificate or key of ours.
    #[error("cannot use the certificate for TLS")]
    Tls(#[source] rustls::Error),
    /// A token key could not be made or used.
    #[error("cannot use the service account key")]
    TokenKey,
}

/// Whom a leaf certificate names, and what it is good for.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Common name: the user name of a client.
    pub common_name: String,
    /// Organization: the group of a client; empty for none.
    pub organization: String,
    /// DNS names of a server.
    pub names: Vec<String>,
    /// Addresses of a server.
    pub addresses: Vec<IpAddr>,
}

impl Identity {
    /// A client known by user name and one group.
    pub fn client(user: &str, group: &str) -> Self {
        Self {
            common_name: user.into(),
            organization: group.into(),
            ..Self::default()
        }
    }
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct KeyedCertificate {
    /// The certificate, PEM.
    pub certificate: String,
    /// Its private key, PEM (PKCS #8).
    pub key: String,
    /// When it ends.
    pub not_after: Timestamp,
}

/// The cluster's certificate authority.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Reads `ca.crt` and `ca.key` from a directory; makes what is not there, but no key for a certificate.
    ///
    /// # Errors
    /// The directory cannot be used, or the files are damaged.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Self, PkiError> {
        let (certificate_path, key_path) = (directory.join("ca.crt"), directory.join("ca.key"));
        if !certificate_path.exists() && !key_path.exists() {
            let key = KeyPair::generate().map_err(cannot_make)?;
            write_private(&key_path, &key.serialize_pem())?;
        }
        let damaged = |path: &Path| PkiError::Damaged { path: path.into() };
        let key = KeyPair::from_pem(&read(&key_path)?).map_err(|_| damaged(&key_path))?;
        // Killed in between, the key is alone.
        if !certificate_path.exists() {
            write_private(&certificate_path, &make_certificate(&key, now)?)?;
        }
        let certificate = read(&certificate_path)?;
        let facts = Facts::read(&certificate).ok_or_else(|| damaged(&certificate_path))?;
        if facts.public_key != key.subject_public_key_info() {
            return Err(PkiError::Strangers {
                certificate: certificate_path,
                key: key_path,
            });
        }
        facts.check_time(&certificate_path, now)?;
        let issuer =
            Issuer::from_ca_cert_pem(&certificate, key).map_err(|_| PkiError::Damaged {
                path: certificate_path,
            })?;
        Ok(Self {
            certificate,
            issuer,
        })
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate for server and client use, good for a year.
    ///
    /// # Errors
    /// A name is not ASCII, or the key cannot be made.
    pub fn issue(&self, identity: &Identity, now: Timestamp) -> Result<KeyedCertificate, PkiError> {
        let failed = |source| PkiError::Issue {
            subject: identity.common_name.clone(),
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let params = leaf_params(identity, now).map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(KeyedCertificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            not_after: now + LEAF_LIFE,
        })
    }

    /// Signs a certificate request (PEM) for usages by their names in the API (`client auth`), valid so many seconds;
    /// answers with the certificate, PEM. Unknown usages are left out.
    ///
    /// # Errors
    /// The request cannot be read or signed.
    pub fn sign(
        &self,
        request: &str,
        usages: &[String],
        seconds: i64,
        now: Timestamp,
    ) -> Result<String, PkiError> {
        let failed = |source| PkiError::Issue {
            subject: "a certificate request".into(),
            source,
        };
        let request = Request::read(request).map_err(failed)?;
        let usages = usages.iter().map(String::as_str);
        let mut params = CertificateParams::default();
        params.not_before = offset(now, -BACKDATE_SECONDS);
        params.not_after = offset(now, seconds);
        params.key_usages = usages.clone().filter_map(key_usage).collect();
        params.extended_key_usages = usages.filter_map(extended_usage).collect();
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        request.sign(params, &self.issuer).map_err(failed)
    }
}

/// Source: `pkg/controller/certificates/authority` `keyUsageDict`.
fn key_usage(name: &str) -> Option<KeyUsagePurpose> {
    match name {
        "signing" | "digital signature" => Some(KeyUsagePurpose::DigitalSignature),
        "content commitment" => Some(KeyUsagePurpose::ContentCommitment),
        "key encipherment" => Some(KeyUsagePurpose::KeyEncipherment),
        "key agreement" => Some(KeyUsagePurpose::KeyAgreement),
        "data encipherment" => Some(KeyUsagePurpose::DataEncipherment),
        _ => None,
    }
}

/// Source: `pkg/controller/certificates/authority` `extKeyUsageDict`.
fn extended_usage(name: &str) -> Option<ExtendedKeyUsagePurpose> {
    match name {
        "any" => Some(ExtendedKeyUsagePurpose::Any),
        "server auth" => Some(ExtendedKeyUsagePurpose::ServerAuth),
        "client auth" => Some(ExtendedKeyUsagePurpose::ClientAuth),
        "code signing" => Some(ExtendedKeyUsagePurpose::CodeSigning),
        "email protection" => Some(ExtendedKeyUsagePurpose::EmailProtection),
        "timestamping" => Some(ExtendedKeyUsagePurpose::TimeStamping),
        "ocsp signing" => Some(ExtendedKeyUsagePurpose::OcspSigning),
        _ => None,
    }
}

fn cannot_make(source: rcgen::Error) -> PkiError {
    PkiError::Issue {
        subject: "the cluster".into(),
        source,
    }
}

/// What a certificate says.
struct Facts {
    public_key: Vec<u8>,
    from: Timestamp,
    to: Timestamp,
}

impl Facts {
    fn read(certificate: &str) -> Option<Self> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).ok()?;
        let certificate = pem.parse_x509().ok()?;
        let validity = certificate.validity();
        let time = |time: &x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
        Some(Self {
            public_key: certificate.public_key().raw.to_vec(),
            from: time(&validity.not_before).ok()?,
            to: time(&validity.not_after).ok()?,
        })
    }

    /// An end is final. A clock that is behind may be set right any moment, so that is only told.
    fn check_time(&self, certificate: &Path, now: Timestamp) -> Result<(), PkiError> {
        let untimely = PkiError::Untimely {
            certificate: certificate.into(),
            from: self.from,
            to: self.to,
            now,
        };
        if now > self.to {
            return Err(untimely);
        }
        if now < self.from {
            tracing::warn!("{untimely}");
        }
        Ok(())
    }
}

/// The authority's certificate for its key, PEM.
fn make_certificate(key: &KeyPair, now: Timestamp) -> Result<String, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = offset(now, -BACKDATE_SECONDS);
    params.not_after = offset(now, AUTHORITY_DAYS * SECONDS_PER_DAY);
    let certificate = params.self_signed(key).map_err(cannot_make)?;
    Ok(certificate.pem())
}

fn leaf_params(identity: &Identity, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, identity.common_name.as_str());
    if !identity.organization.is_empty() {
        params
            .distinguished_name
            .push(DnType::OrganizationName, identity.organization.as_str());
    }
    for name in &identity.names {
        params
            .subject_alt_names
            .push(SanType::DnsName(Ia5String::try_from(name.as_str())?));
    }
    params.subject_alt_names.extend(
        identity
            .addresses
            .iter()
            .map(|address| SanType::IpAddress(*address)),
    );
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params.not_before = offset(now, -BACKDATE_SECONDS);
    params.not_after = offset(now, LEAF_LIFE.as_secs());
    Ok(params)
}

fn offset(now: Timestamp, seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(now.as_second() + seconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub(crate) fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::Read {
        path: path.into(),
        source,
    })
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<(), PkiError> {
    use std::os::unix::fs::OpenOptionsExt;
    let failed = |source| PkiError::Write {
        path: path.into(),
        source,
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    let partial = path.with_extension("partial");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_authority_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = Authority::open(directory.path(), now())
            .unwrap()
            .certificate()
            .to_owned();
        let second = Authority::open(directory.path(), now())
            .unwrap()
            .certificate()
            .to_owned();
        assert_eq!(first, second);
    }

    #[test]
    fn a_key_alone_gets_its_certificate_and_keeps_what_it_signed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.crt");
        let open = || Authority::open(directory.path(), now());
        let key = |made: Result<Authority, PkiError>| {
            let facts = Facts::read(made.unwrap().certificate());
            facts.unwrap().public_key
        };
        let first = key(open());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(key(open()), first);
        let other = tempfile::tempdir().unwrap();
        let stranger = Authority::open(other.path(), now()).unwrap();
        std::fs::write(&path, stranger.certificate()).unwrap();
        let refused = open().err().unwrap();
        assert!(matches!(refused, PkiError::Strangers { .. }), "{refused}");
    }

    #[test]
    fn an_authority_that_has_ended_is_refused_and_made_anew_for_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let later = now() + SignedDuration::from_secs(AUTHORITY_DAYS * SECONDS_PER_DAY + 1);
        let open = |now| Authority::open(directory.path(), now).map(drop);
        open(now()).unwrap();
        open(now() - SignedDuration::from_hours(24)).unwrap();
        let refused = open(later).unwrap_err().to_string();
        assert!(
            refused.contains(
                "ca.crt is good from 2026-11-20T23:55:00Z to 2036-11-18T00:00:00Z, and it is"
            ),
            "{refused}"
        );
        std::fs::remove_file(directory.path().join("ca.crt")).unwrap();
        open(later).unwrap();
    }

    #[test]
    fn leaves_carry_user_group_and_addresses() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path(), now()).unwrap();
        let identity = Identity {
            addresses: vec!["127.0.0.1".parse().unwrap()],
            ..Identity::client("ann", "system:masters")
        };
        let issued = authority.issue(&identity, now()).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(issued.certificate.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        assert_eq!(
            certificate.subject().to_string(),
            "CN=ann, O=system:masters"
        );
        assert!(certificate.subject_alternative_name().unwrap().is_some());
    }

    #[test]
    fn a_request_is_signed_for_its_usages_only() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path(), now()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = leaf_params(&Identity::client("ann", "dev"), now())
            .unwrap()
            .distinguished_name;
        let request = params.serialize_request(&key).unwrap().pem().unwrap();
        let usages = ["client auth".to_owned(), "digital signature".to_owned()];
        let signed = authority.sign(&request, &usages, 600, now()).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(signed.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.client_auth && !extended.server_auth);
        assert_eq!(certificate.subject().to_string(), "CN=ann, O=dev");
        assert!(authority.sign("rubbish", &usages, 600, now()).is_err());
    }

    /// A request of somebody in several groups, as `openssl req` and as Go make it: groups apart, or together.
    const IN_GROUPS: [&str; 2] = [
        include_str!("../tests/groups-apart.csr"),
        include_str!("../tests/groups-together.csr"),
    ];

    #[test]
    fn somebody_of_several_groups_stays_in_all_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path(), now()).unwrap();
        let usages = ["client auth".to_owned()];
        for request in IN_GROUPS {
            let signed = authority.sign(request, &usages, 600, now()).unwrap();
            let (_, pem) = x509_parser::pem::parse_x509_pem(signed.as_bytes()).unwrap();
            let certificate = pem.parse_x509().unwrap();
            let groups = certificate.subject().iter_organization();
            let groups: Vec<_> = groups.map(|group| group.as_str().unwrap()).collect();
            assert_eq!(groups, ["dev", "ops"]);
            let (_, authority) =
                x509_parser::pem::parse_x509_pem(authority.certificate().as_bytes()).unwrap();
            let authority = authority.parse_x509().unwrap();
            certificate
                .verify_signature(Some(authority.public_key()))
                .unwrap();
            let names = certificate.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names.len(), 3);
        }
        // Whoever changes what another has signed has not that one's key.
        let mut forged = pem::parse(IN_GROUPS[0]).unwrap().into_contents();
        let name = forged
            .windows(4)
            .position(|bytes| bytes == b"jane")
            .unwrap();
        forged[name..name + 4].copy_from_slice(b"joan");
        let forged = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", forged));
        let refused = authority.sign(&forged, &usages, 600, now()).unwrap_err();
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert_eq!(why, "Invalid CSR signature");
    }

    #[test]
    fn a_damaged_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        Authority::open(directory.path(), now()).unwrap();
        std::fs::write(directory.path().join("ca.key"), "rubbish").unwrap();
        let error = Authority::open(directory.path(), now())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("ca.key is damaged"), "{error}");
    }
}
