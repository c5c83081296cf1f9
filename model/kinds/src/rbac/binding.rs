//! RoleBinding and ClusterRoleBinding.

use meta::{FieldError, Object, names};

use super::validate;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `rbac.authorization.k8s.io/v1 RoleBinding`.
pub(crate) struct RoleBinding;
/// Rules of `rbac.authorization.k8s.io/v1 ClusterRoleBinding`.
pub(crate) struct ClusterRoleBinding;

impl Strategy for RoleBinding {
    fn default(&self, new: &mut Object) {
        default_role_ref(new);
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::path_segment(name)
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::binding(new, &["Role", "ClusterRole"])
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = self.validate(new, cx);
        validate::same_role(new, old, &mut errors);
        errors
    }
    print_with!(print::other::ROLE_BINDING);
}

impl Strategy for ClusterRoleBinding {
    fn default(&self, new: &mut Object) {
        default_role_ref(new);
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::path_segment(name)
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::binding(new, &["ClusterRole"])
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = self.validate(new, cx);
        validate::same_role(new, old, &mut errors);
        errors
    }
    print_with!(print::other::CLUSTER_ROLE_BINDING);
}

fn default_role_ref(new: &mut Object) {
    new.child_mut("roleRef")
        .default_to("apiGroup", "rbac.authorization.k8s.io");
}
