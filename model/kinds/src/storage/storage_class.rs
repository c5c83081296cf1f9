//! StorageClass.

use meta::Object;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `storage.k8s.io/v1 StorageClass`.
pub(crate) struct StorageClass;

impl Strategy for StorageClass {
    fn default(&self, new: &mut Object) {
        new.default_to("reclaimPolicy", "Delete");
        new.default_to("volumeBindingMode", "Immediate");
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    print_with!(print::storage::STORAGE_CLASS);
}
