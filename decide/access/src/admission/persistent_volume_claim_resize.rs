//! PersistentVolumeClaimResize: only bound claims of classes that allow it grow.
//!
//! Source: `plugin/pkg/admission/storage/persistentvolume/resize`.

use kinds::amounts::quantity;
use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};

use super::{Plugin, Request};

const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) struct PersistentVolumeClaimResize;

impl Plugin for PersistentVolumeClaimResize {
    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_claim = request.is_for("persistentvolumeclaims", &[Operation::Update]);
        let (true, Some(new), Some(old)) = (is_claim, &request.object, &request.old) else {
            return Ok(());
        };
        let size = |claim: &Object| {
            claim
                .at(&["spec", "resources", "requests", "storage"])
                .and_then(quantity)
        };
        if size(new) <= size(old) {
            return Ok(());
        }
        if old.str_at(&["status", "phase"]) != Some("Bound") {
            return Err(request.forbidden("Only bound persistent volume claims can be expanded"));
        }
        let class = class_of(new);
        let allows = !class.is_empty()
            && class == class_of(old)
            && cluster
                .get("storageclasses.storage.k8s.io", "", class)
                .and_then(|class| class.bool_at(&["allowVolumeExpansion"]))
                .unwrap_or_default();
        if allows {
            return Ok(());
        }
        Err(request.forbidden("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"))
    }
}

fn class_of(claim: &Object) -> &str {
    claim
        .annotation(LEGACY_CLASS)
        .or_else(|| claim.str_at(&["spec", "storageClassName"]))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    fn grow(phase: &str, class: &str) -> Result<(), StatusError> {
        let claim = |size: &str| {
            json!({"metadata": {"name": "c", "namespace": "web"},
            "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}, "status": {"phase": phase}})
        };
        let cluster = Cluster::of([(
            "storageclasses.storage.k8s.io",
            json!({"metadata": {"name": "fast"}, "allowVolumeExpansion": true}),
        )]);
        let user = user("ann", &[]);
        let mut request = request(&user, "", "persistentvolumeclaims", claim("2Gi"));
        request.operation = Operation::Update;
        let old = claim("1Gi");
        request.old = Some(&old);
        PersistentVolumeClaimResize.validate(&request, &cluster)
    }

    #[test]
    fn only_bound_claims_of_willing_classes_grow() {
        assert!(grow("Bound", "fast").is_ok());
        assert_eq!(
            grow("Pending", "fast").unwrap_err().to_string(),
            "persistentvolumeclaims \"c\" is forbidden: Only bound persistent volume claims can be expanded"
        );
        assert!(grow("Bound", "slow").is_err());
    }
}
