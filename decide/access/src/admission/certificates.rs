//! CertificateApproval, CertificateSigning, CertificateSubjectRestriction: who may approve and sign for which signer.
//!
//! Source: `plugin/pkg/admission/certificates`, `pkg/registry/certificates/.../certauthorization`.

use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};

use super::{Plugin, Request};
use crate::attributes::{Attributes, Decision};
use crate::certificates::{CLIENT_SIGNER, request_of};
use crate::user;

const RESOURCE: &str = "certificatesigningrequests.certificates.k8s.io";

/// Approvers need the verb `approve` on the signer.
pub(super) struct CertificateApproval;

/// Signers need the verb `sign` on the signer.
pub(super) struct CertificateSigning;

/// Nobody gets a client certificate for `system:masters`.
pub(super) struct CertificateSubjectRestriction;

impl Plugin for CertificateApproval {
    fn validate(&self, request: &Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        match &request.old {
            Some(old) if is_update(request, "approval") => authorize(request, "approve", old),
            _ => Ok(()),
        }
    }
}

impl Plugin for CertificateSigning {
    fn validate(&self, request: &Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        let (true, Some(new), Some(old)) =
            (is_update(request, "status"), &request.object, &request.old)
        else {
            return Ok(());
        };
        let same = |field: &str| new.at(&["status", field]) == old.at(&["status", field]);
        if same("certificate") && same("conditions") {
            return Ok(());
        }
        authorize(request, "sign", old)
    }
}

impl Plugin for CertificateSubjectRestriction {
    fn validate(&self, request: &Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        let Some(csr) = request
            .object
            .as_ref()
            .filter(|_| request.is_for(RESOURCE, &[Operation::Create]))
        else {
            return Ok(());
        };
        if csr.str_at(&["spec", "signerName"]) != Some(CLIENT_SIGNER) {
            return Ok(());
        }
        let wanted = request_of(csr)
            .map_err(|why| request.forbidden(&format!("failed to parse CSR: {why}")))?;
        if wanted
            .organizations
            .iter()
            .any(|group| group == user::MASTERS)
        {
            return Err(request.forbidden(&format!(
                "use of {CLIENT_SIGNER} signer with system:masters group is not allowed"
            )));
        }
        Ok(())
    }
}

fn is_update(request: &Request<'_>, subresource: &str) -> bool {
    request.is_of(RESOURCE)
        && request.subresource == subresource
        && request.operation == Operation::Update
}

/// Whether the user holds the verb on the signer, by its name or by its domain.
fn authorize(request: &Request<'_>, verb: &str, old: &Object) -> Result<(), StatusError> {
    let signer = old.str_at(&["spec", "signerName"]).unwrap_or_default();
    let domain = signer.split('/').next().unwrap_or_default();
    let holds = |name: String| {
        let asked = Attributes {
            user: request.user.clone(),
            verb: verb.into(),
            group: "certificates.k8s.io".into(),
            version: "*".into(),
            resource: "signers".into(),
            name,
            is_resource: true,
            ..Attributes::default()
        };
        request.policy.authorize(&asked) == Decision::Allow
    };
    if holds(signer.to_owned()) || holds(format!("{domain}/*")) {
        return Ok(());
    }
    Err(request.forbidden(&format!(
        "user not permitted to {verb} requests with signerName {}",
        meta::field::quote(signer)
    )))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::rbac::{Objects, Policy};
    use crate::testing::{Cluster, request};

    fn approve(name: &str, plugin: &dyn Plugin, subresource: &str) -> Result<(), StatusError> {
        let policy = Policy::read(&Objects {
            cluster_roles: &[
                json!({"metadata": {"name": "r"}, "rules": [{"verbs": ["approve", "sign"],
                "apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "resourceNames": ["example.com/*"]}]}),
            ],
            cluster_role_bindings: &[
                json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "r"},
                "subjects": [{"kind": "User", "name": "ann"}]}),
            ],
            roles: &[],
            role_bindings: &[],
        });
        let user = user::user(name, &[]);
        let csr = |status| json!({"metadata": {"name": "c"}, "spec": {"signerName": "example.com/s"}, "status": status});
        let new = csr(json!({"certificate": "x"}));
        let mut request = request(
            &user,
            "certificates.k8s.io",
            "certificatesigningrequests",
            new,
        );
        request.subresource = subresource.into();
        request.operation = Operation::Update;
        let old = csr(json!({}));
        request.old = Some(&old);
        request.policy = Arc::new(policy);
        plugin.validate(&request, &Cluster::of([]))
    }

    #[test]
    fn approving_and_signing_need_rights_on_the_signer() {
        assert!(approve("ann", &CertificateApproval, "approval").is_ok());
        assert_eq!(
            approve("bob", &CertificateApproval, "approval")
                .unwrap_err()
                .to_string(),
            "certificatesigningrequests.certificates.k8s.io \"c\" is forbidden: user not permitted to approve requests with signerName \"example.com/s\""
        );
        assert!(approve("ann", &CertificateSigning, "status").is_ok());
        assert!(approve("bob", &CertificateSigning, "status").is_err());
        assert!(approve("bob", &CertificateSigning, "approval").is_ok());
    }

    #[test]
    fn nobody_becomes_a_master_by_certificate() {
        let user = user::user("ann", &[]);
        let create = |request_text: &str| {
            let csr = json!({"metadata": {"name": "c"}, "spec": {"signerName": CLIENT_SIGNER, "request": request_text}});
            let request = request(
                &user,
                "certificates.k8s.io",
                "certificatesigningrequests",
                csr,
            );
            CertificateSubjectRestriction.validate(&request, &Cluster::of([]))
        };
        assert!(create(crate::certificates::tests::CLIENT).is_ok());
        let error = create(crate::certificates::tests::MASTER).unwrap_err();
        assert!(error.to_string().ends_with(
            "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        ));
        assert!(create("rubbish").is_err());
    }
}
