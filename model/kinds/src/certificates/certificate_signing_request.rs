//! CertificateSigningRequest.

use jiff::Timestamp;
use meta::{FieldError, Object, ObjectExt, Path};
use serde_json::{Value, json};

use super::validate;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `certificates.k8s.io/v1 CertificateSigningRequest`.
pub(crate) struct CertificateSigningRequest;

impl Strategy for CertificateSigningRequest {
    fn has_generation(&self) -> bool {
        false
    }
    fn prepare_create(&self, new: &mut Object, cx: &Context<'_>) {
        let spec = new.child_mut("spec");
        for field in ["username", "uid", "groups", "extra"] {
            spec.drop_field(field);
        }
        let Some(user) = cx.user else {
            return;
        };
        for (field, text) in [("username", &user.name), ("uid", &user.uid)] {
            if !text.is_empty() {
                spec.put(field, text.as_str());
            }
        }
        if !user.groups.is_empty() {
            spec.put("groups", user.groups.clone());
        }
        if !user.extra.is_empty() {
            spec.put("extra", json!(user.extra));
        }
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        if let Some(spec) = old.get("spec") {
            new.put("spec", spec.clone());
        }
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, cx: &Context<'_>) {
        if cx.subresource == Some("approval") {
            // Approving changes conditions and metadata. Source: `csrApprovalStrategy.PrepareForUpdate`.
            let conditions = new.at(&["status", "conditions"]).cloned();
            for field in ["spec", "status"] {
                match old.get(field) {
                    Some(value) => new.set(&[field], value.clone()),
                    None => drop(new.remove(&[field])),
                }
            }
            match conditions {
                Some(conditions) => new.set(&["status", "conditions"], conditions),
                None => drop(new.remove(&["status", "conditions"])),
            }
        } else if cx.subresource == Some("status") {
            keep_approvals(new, old);
        }
        date_conditions(new, old, cx.now);
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        // Source: `validation.ValidateCertificateRequestName`, which has nothing against any name; keys must have one part.
        meta::names::path_segment(name)
    }
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        let other = match subresource {
            None => "status",
            Some("approval") => "status.certificate",
            Some(_) => "status.conditions",
        };
        vec![Path::new("spec"), Path::new(other)]
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.signerName"]
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::check(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        validate::change(new, old, cx.subresource)
    }
    print_with!(print::other::CERTIFICATE_SIGNING_REQUEST);
}

/// A signer's update leaves approvals and denials as they are; where it adds or removes one, that is refused.
/// Source: `preserveConditionInstances`.
fn keep_approvals(new: &mut Object, old: &Object) {
    let mut conditions = new.list_at(&["status", "conditions"]).to_vec();
    for kind in ["Approved", "Denied"] {
        let is_of_kind = |condition: &Value| condition.str_at(&["type"]) == Some(kind);
        let was: Vec<&Value> = old
            .list_at(&["status", "conditions"])
            .iter()
            .filter(|condition| is_of_kind(condition))
            .collect();
        let now = conditions.iter_mut().filter(|one| is_of_kind(one));
        let now: Vec<&mut Value> = now.collect();
        if now.len() == was.len() {
            for (now, was) in now.into_iter().zip(was) {
                now.clone_from(was);
            }
        }
    }
    if !conditions.is_empty() {
        new.set(&["status", "conditions"], conditions.into());
    }
}

/// Gives conditions the times they lack. Source: `populateConditionTimestamps`.
fn date_conditions(new: &mut Object, old: &Object, now: Timestamp) {
    let old = old.list_at(&["status", "conditions"]);
    let mut conditions = new.list_at(&["status", "conditions"]).to_vec();
    for condition in &mut conditions {
        let now = meta::time::to_rfc3339(now);
        if condition.at(&["lastUpdateTime"]).is_none_or(Value::is_null) {
            condition.set(&["lastUpdateTime"], now.clone().into());
        }
        if condition
            .at(&["lastTransitionTime"])
            .is_none_or(Value::is_null)
        {
            let known = old.iter().find(|known| {
                ["type", "status"]
                    .iter()
                    .all(|field| known.str_at(&[field]) == condition.str_at(&[field]))
            });
            let since = known.and_then(|known| known.at(&["lastTransitionTime"]).cloned());
            condition.set(&["lastTransitionTime"], since.unwrap_or_else(|| now.into()));
        }
    }
    if !conditions.is_empty() {
        new.set(&["status", "conditions"], conditions.into());
    }
}
