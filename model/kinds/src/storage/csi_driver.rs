//! CSIDriver.

use meta::{Object, ObjectExt as _};
use serde_json::json;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

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
    print_with!(print::storage::CSI_DRIVER);
}
