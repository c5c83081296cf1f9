//! Certificate signing requests: what they ask for, who may have them approved at once, and what is signed.
//!
//! Signing itself is an effect and not here.
//!
//! Source: `pkg/controller/certificates` (`approver`, `signer`), `pkg/apis/certificates/helpers.go`.

mod der;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::{Object, ObjectExt};

use crate::attributes::Attributes;
use crate::user::{NODE_PREFIX, NODES};

/// Signs client certificates; never approved by itself.
pub const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
/// Signs kubelets' client certificates.
pub const KUBELET_CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Signs kubelets' serving certificates; never approved by itself.
pub const KUBELET_SERVING_SIGNER: &str = "kubernetes.io/kubelet-serving";
/// Signs anything that was approved, with no promise about who trusts it.
pub const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
/// Longest life of a signed certificate, in seconds. Source: `--cluster-signing-duration`, one year.
const SECONDS_MAX: i64 = 365 * 24 * 3600;
/// Shortest life of a signed certificate, in seconds.
const SECONDS_MIN: i64 = 600;

/// What a certificate request (PKCS #10) asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Common names; upstream reads the last.
    pub common_name: String,
    /// Organizations: the groups of a client.
    pub organizations: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// IP addresses, as bytes.
    pub addresses: Vec<Vec<u8>>,
    /// URIs.
    pub uris: Vec<String>,
}

/// A right that has a request approved at once, with the condition's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What the requester must be allowed.
    pub attributes: Attributes,
    /// Message of the `Approved` condition.
    pub message: &'static str,
}

/// What a signer does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    /// Nothing: it is not approved, done, failed, or somebody else's.
    Leave,
    /// Sign it for these usages and so many seconds.
    Sign {
        /// Usages as the API names them.
        usages: Vec<String>,
        /// Life of the certificate.
        seconds: i64,
        /// The request, PEM.
        request: String,
    },
    /// Mark it as failed with this message, reason `SignerValidationFailure`.
    Fail {
        /// What is wrong with it.
        message: String,
    },
}

/// Reads `spec.request`.
///
/// # Errors
/// It is no certificate request; upstream's words where it has any.
pub fn request_of(csr: &Object) -> Result<CertificateRequest, String> {
    let pem = pem_of(csr)?;
    let body = pem
        .split_once("-----BEGIN CERTIFICATE REQUEST-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE REQUEST-----"))
        .map(|(body, _)| body.split_whitespace().collect::<String>())
        .ok_or("PEM block type must be CERTIFICATE REQUEST")?;
    let bytes = STANDARD
        .decode(body)
        .map_err(|_| "PEM block type must be CERTIFICATE REQUEST")?;
    der::read(&bytes).ok_or_else(|| "x509: malformed certificate request".to_owned())
}

fn pem_of(csr: &Object) -> Result<String, String> {
    let text = csr.str_at(&["spec", "request"]).unwrap_or_default();
    let bytes = STANDARD.decode(text).unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| "PEM block type must be CERTIFICATE REQUEST".to_owned())
}

/// The rights of which one has a request approved at once; empty when nothing has.
///
/// Source: `sarapprove.go`.
pub fn approving_permissions(csr: &Object) -> Vec<Permission> {
    let is_settled = has_condition(csr, "Approved")
        || has_condition(csr, "Denied")
        || csr.str_at(&["status", "certificate"]).is_some();
    let Ok(wanted) = request_of(csr) else {
        return Vec::new();
    };
    let is_for_kubelet = csr.str_at(&["spec", "signerName"]) == Some(KUBELET_CLIENT_SIGNER);
    if is_settled || !is_for_kubelet || check_kubelet_client(&wanted, &usages(csr)).is_err() {
        return Vec::new();
    }
    let permission = |subresource: &str, message| Permission {
        attributes: Attributes {
            user: requester(csr),
            verb: "create".into(),
            group: "certificates.k8s.io".into(),
            version: "*".into(),
            resource: "certificatesigningrequests".into(),
            subresource: subresource.into(),
            is_resource: true,
            ..Attributes::default()
        },
        message,
    };
    let mut permissions = Vec::new();
    if csr.str_at(&["spec", "username"]) == Some(wanted.common_name.as_str()) {
        permissions.push(permission(
            "selfnodeclient",
            "Auto approving self kubelet client certificate after SubjectAccessReview.",
        ));
    }
    permissions.push(permission(
        "nodeclient",
        "Auto approving kubelet client certificate after SubjectAccessReview.",
    ));
    permissions
}

fn requester(csr: &Object) -> kinds::strategy::User {
    let text = |field: &str| csr.str_at(&["spec", field]).unwrap_or_default().to_owned();
    let groups = csr.list_at(&["spec", "groups"]).iter();
    kinds::strategy::User {
        name: text("username"),
        uid: text("uid"),
        groups: groups
            .filter_map(|group| group.as_str().map(str::to_owned))
            .collect(),
        extra: extra(csr),
    }
}

fn extra(csr: &Object) -> std::collections::BTreeMap<String, Vec<String>> {
    let extra = csr.at(&["spec", "extra"]);
    extra
        .and_then(|extra| serde_json::from_value(extra.clone()).ok())
        .unwrap_or_default()
}

/// What the built-in signers do with a request.
///
/// Source: `signer.go`.
pub fn signing(csr: &Object) -> Signing {
    let is_open = has_condition(csr, "Approved")
        && !has_condition(csr, "Denied")
        && !has_condition(csr, "Failed")
        && csr.str_at(&["status", "certificate"]).is_none();
    let signer = csr.str_at(&["spec", "signerName"]).unwrap_or_default();
    let is_ours = [
        CLIENT_SIGNER,
        KUBELET_CLIENT_SIGNER,
        KUBELET_SERVING_SIGNER,
        LEGACY_SIGNER,
    ]
    .contains(&signer);
    if !is_open || !is_ours {
        return Signing::Leave;
    }
    let (Ok(wanted), Ok(request)) = (request_of(csr), pem_of(csr)) else {
        return Signing::Leave;
    };
    let usages = usages(csr);
    let checked = match signer {
        CLIENT_SIGNER => check_client(&usages),
        KUBELET_CLIENT_SIGNER => check_kubelet_client(&wanted, &usages),
        KUBELET_SERVING_SIGNER => check_kubelet_serving(&wanted, &usages),
        _ => Ok(()),
    };
    match checked {
        Ok(()) => Signing::Sign {
            usages: usages.into_iter().collect(),
            seconds: csr
                .int_at(&["spec", "expirationSeconds"])
                .unwrap_or(SECONDS_MAX)
                .clamp(SECONDS_MIN, SECONDS_MAX),
            request,
        },
        Err(message) => Signing::Fail { message },
    }
}

fn usages(csr: &Object) -> BTreeSet<String> {
    let usages = csr.list_at(&["spec", "usages"]).iter();
    usages
        .filter_map(|usage| usage.as_str().map(str::to_owned))
        .collect()
}

/// Whether a condition of that type is there; `Approved` and `Denied` are always true when present.
fn has_condition(csr: &Object, kind: &str) -> bool {
    csr.list_at(&["status", "conditions"])
        .iter()
        .any(|condition| condition.str_at(&["type"]) == Some(kind))
}

fn check_client(usages: &BTreeSet<String>) -> Result<(), String> {
    let known = ["client auth", "digital signature", "key encipherment"];
    if let Some(other) = usages.iter().find(|usage| !known.contains(&usage.as_str())) {
        return Err(format!("invalid usage for client certificate: {other}"));
    }
    if usages.contains("client auth") {
        return Ok(());
    }
    Err("missing required usage for client certificate: client auth".into())
}

fn check_kubelet_client(
    wanted: &CertificateRequest,
    usages: &BTreeSet<String>,
) -> Result<(), String> {
    check_organization(wanted)?;
    let names = [
        (wanted.dns_names.is_empty(), "DNS"),
        (wanted.emails.is_empty(), "Email"),
        (wanted.addresses.is_empty(), "IP"),
        (wanted.uris.is_empty(), "URI"),
    ];
    if let Some((_, kind)) = names.iter().find(|(is_empty, _)| !is_empty) {
        return Err(format!("{kind} subjectAltNames are not allowed"));
    }
    check_common_name(wanted)?;
    check_usages(usages, "client auth")
}

fn check_kubelet_serving(
    wanted: &CertificateRequest,
    usages: &BTreeSet<String>,
) -> Result<(), String> {
    check_organization(wanted)?;
    if wanted.dns_names.is_empty() && wanted.addresses.is_empty() {
        return Err("DNS or IP subjectAltName is required".into());
    }
    if !wanted.emails.is_empty() {
        return Err("Email subjectAltNames are not allowed".into());
    }
    if !wanted.uris.is_empty() {
        return Err("URI subjectAltNames are not allowed".into());
    }
    check_usages(usages, "server auth")?;
    check_common_name(wanted)
}

fn check_organization(wanted: &CertificateRequest) -> Result<(), String> {
    if wanted.organizations == [NODES] {
        return Ok(());
    }
    Err("subject organization is not system:nodes".into())
}

fn check_common_name(wanted: &CertificateRequest) -> Result<(), String> {
    if wanted.common_name.starts_with(NODE_PREFIX) {
        return Ok(());
    }
    Err("subject common name does not begin with system:node:".into())
}

fn check_usages(usages: &BTreeSet<String>, purpose: &str) -> Result<(), String> {
    let with_rsa = BTreeSet::from([purpose, "digital signature", "key encipherment"]);
    let without = BTreeSet::from([purpose, "digital signature"]);
    let given: BTreeSet<&str> = usages.iter().map(String::as_str).collect();
    if given == with_rsa || given == without {
        return Ok(());
    }
    let wanted: Vec<&str> = with_rsa.into_iter().collect();
    Err(format!("usages did not match [{}]", wanted.join(" ")))
}

#[cfg(test)]
pub(crate) mod tests;
