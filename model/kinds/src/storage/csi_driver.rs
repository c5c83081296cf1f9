//! CSIDriver.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::json;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `storage.k8s.io/v1 CSIDriver`.
pub(crate) struct CsiDriver;

impl Strategy for CsiDriver {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("attachRequired", true);
        for flag in [
            "podInfoOnMount",
            "storageCapacity",
            "requiresRepublish",
            "seLinuxMount",
        ] {
            spec.default_to(flag, false);
        }
        spec.default_to("fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec.list_at(&["volumeLifecycleModes"]).is_empty() {
            spec.put("volumeLifecycleModes", json!(["Persistent"]));
        }
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        super::validate::csi_driver(new, &mut errors);
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = self.validate(new, cx);
        super::validate::csi_driver_change(new, old, &mut errors);
        errors
    }
    print_with!(print::storage::CSI_DRIVER);
}
