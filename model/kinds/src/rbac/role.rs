//! Role and ClusterRole.

use meta::{FieldError, Object, names};

use super::validate;

use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `rbac.authorization.k8s.io/v1 Role`.
pub(crate) struct Role;
/// Rules of `rbac.authorization.k8s.io/v1 ClusterRole`.
pub(crate) struct ClusterRole;

impl Strategy for Role {
    fn has_generation(&self) -> bool {
        false
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::path_segment(name)
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::role(new, true)
    }
    print_with!(print::CREATED_AT);
}

impl Strategy for ClusterRole {
    fn has_generation(&self) -> bool {
        false
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::path_segment(name)
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::role(new, false)
    }
    print_with!(print::CREATED_AT);
}
