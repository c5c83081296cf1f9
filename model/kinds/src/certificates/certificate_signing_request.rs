//! CertificateSigningRequest.

use meta::{FieldError, Object, Path};
use serde_json::json;

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
    fn validate_update(&self, new: &Object, old: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::change(new, old)
    }
    print_with!(print::other::CERTIFICATE_SIGNING_REQUEST);
}
