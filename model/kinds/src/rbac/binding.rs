//! RoleBinding and ClusterRoleBinding.

use meta::{Object, names};

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

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
    print_with!(print::other::CLUSTER_ROLE_BINDING);
}

fn default_role_ref(new: &mut Object) {
    new.child_mut("roleRef")
        .default_to("apiGroup", "rbac.authorization.k8s.io");
}
