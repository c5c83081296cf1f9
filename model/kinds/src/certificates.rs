//! Certificate signing requests: the kinds of `certificates.k8s.io`.

mod certificate_signing_request;
mod validate;

use crate::kind::Kind;
use crate::row::{Group, READ_WRITE};

const V1: Group = Group {
    name: "certificates.k8s.io",
    version: "v1",
    types: "io.k8s.api.certificates.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "CertificateSigningRequest",
            "certificatesigningrequests",
            certificate_signing_request::CertificateSigningRequest,
        )
        .short(&["csr"])
        .sub("approval", READ_WRITE)
        .status()
        .build(),
    ]
}
