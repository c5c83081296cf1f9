//! StorageClass.

use meta::{FieldError, Object};

use crate::check::Node;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `storage.k8s.io/v1 StorageClass`.
pub(crate) struct StorageClass;

impl Strategy for StorageClass {
    fn default(&self, new: &mut Object) {
        new.default_unset("reclaimPolicy", "Delete");
        new.default_unset("volumeBindingMode", "Immediate");
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        super::validate::storage_class(new, &mut errors);
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = Vec::new();
        super::validate::storage_class_change(new, old, &mut errors);
        errors
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        for term in Node::root(new).items("allowedTopologies") {
            for expression in term.items("matchLabelExpressions") {
                let path = expression.at("key");
                let why = warnings::node_label(expression.text("key"));
                warnings.extend(why.map(|why| format!("{path}: {why}")));
            }
        }
        warnings
    }
    print_with!(print::storage::STORAGE_CLASS);
}
