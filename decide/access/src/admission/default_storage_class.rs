//! DefaultStorageClass: a claim that names no class gets the default one.
//!
//! Source: `plugin/pkg/admission/storage/storageclass/setdefault`.

use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};

use super::{Plugin, Request};

const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
const LEGACY_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub(super) struct DefaultStorageClass;

impl Plugin for DefaultStorageClass {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_for("persistentvolumeclaims", &[Operation::Create]) {
            return Ok(());
        }
        let Some(claim) = &mut request.object else {
            return Ok(());
        };
        if claim.at(&["spec", "storageClassName"]).is_some()
            || claim.annotation(LEGACY_CLASS).is_some()
        {
            return Ok(());
        }
        let classes = cluster
            .list("storageclasses.storage.k8s.io", "")
            .into_iter();
        let newest = classes
            .filter(|class| class.annotation(IS_DEFAULT) == Some("true"))
            .min_by(|a, b| newer_first(a, b));
        if let Some(class) = newest {
            claim.set(&["spec", "storageClassName"], class.name().into());
        }
        Ok(())
    }
}

/// The newest comes first; of equally old ones the first by name.
pub(super) fn newer_first(a: &Object, b: &Object) -> std::cmp::Ordering {
    let created = |class: &Object| {
        class
            .str_at(&["metadata", "creationTimestamp"])
            .unwrap_or_default()
            .to_owned()
    };
    created(b)
        .cmp(&created(a))
        .then_with(|| a.name().cmp(b.name()))
}
