//! NetworkPolicy.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::json;

use crate::check::cidr_warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `networking.k8s.io/v1 NetworkPolicy`.
pub(crate) struct NetworkPolicy;

impl Strategy for NetworkPolicy {
    /// Source: `networkPolicyStrategy.PrepareForUpdate`, which compares by `reflect.DeepEqual`.
    fn counts_empty(&self) -> bool {
        true
    }
    fn default(&self, new: &mut Object) {
        if !new.list_at(&["spec", "policyTypes"]).is_empty() {
            return;
        }
        let has_egress = !new.list_at(&["spec", "egress"]).is_empty();
        let types = if has_egress {
            json!(["Ingress", "Egress"])
        } else {
            json!(["Ingress"])
        };
        new.child_mut("spec").put("policyTypes", types);
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        super::validate::network_policy(new, None, &mut errors);
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        super::validate::network_policy(new, Some(old), &mut errors);
        errors
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        for block in super::validate::blocks(new) {
            warnings.extend(cidr_warnings(&block.at("cidr"), block.text("cidr")));
            for (index, except) in block.texts("except").into_iter().enumerate() {
                warnings.extend(cidr_warnings(&block.at("except").index(index), except));
            }
        }
        warnings
    }
    print_with!(print::other::NETWORK_POLICY);
}
