//! CSIDriver.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::json;

use crate::check::Node;
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
        spec.default_unset("fsGroupPolicy", "ReadWriteOnceWithFSType");
        if spec.list_at(&["volumeLifecycleModes"]).is_empty() {
            spec.put("volumeLifecycleModes", json!(["Persistent"]));
        }
    }
    fn first_generation(&self) -> i64 {
        0
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
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        let requests = |driver: &Object| driver.at(&["spec", "tokenRequests"]).cloned();
        let is_new = old.is_none_or(|old| requests(old) != requests(new));
        let spec = Node::root(new).child("spec");
        if !is_new || !spec.has_items("tokenRequests") || spec.has("serviceAccountTokenInSecrets") {
            return Vec::new();
        }
        let words = "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes";
        vec![words.to_owned()]
    }
    print_with!(print::storage::CSI_DRIVER);
}
