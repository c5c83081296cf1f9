//! StorageObjectInUseProtection: claims and volumes are kept, by a finalizer, while something uses them.
//!
//! Source: `plugin/pkg/admission/storage/storageobjectinuseprotection`.

use kinds::strategy::{Lookup, Operation};
use meta::{ObjectExt, StatusError};
use serde_json::Value;

use super::{Plugin, Request};

pub(super) struct StorageObjectInUseProtection;

impl Plugin for StorageObjectInUseProtection {
    fn admit(&self, request: &mut Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        if request.operation != Operation::Create || !request.subresource.is_empty() {
            return Ok(());
        }
        let finalizer = match request.resource.to_string().as_str() {
            "persistentvolumeclaims" => "kubernetes.io/pvc-protection",
            "persistentvolumes" => "kubernetes.io/pv-protection",
            "volumeattributesclasses.storage.k8s.io" => "kubernetes.io/vac-protection",
            _ => return Ok(()),
        };
        let Some(object) = &mut request.object else {
            return Ok(());
        };
        if !object.finalizers().contains(&finalizer) {
            let finalizers = object.list_at(&["metadata", "finalizers"]).iter().cloned();
            let finalizers: Vec<Value> = finalizers.chain([finalizer.into()]).collect();
            object.set(&["metadata", "finalizers"], finalizers.into());
        }
        Ok(())
    }
}
