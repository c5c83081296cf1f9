//! Secret.

mod tls;
mod validate;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::{FieldError, Object};
use serde_json::Value;

use crate::check::Node;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

pub(crate) use tls::blocks as pem;

/// Rules of `v1 Secret`.
pub(crate) struct Secret;

impl Strategy for Secret {
    fn default(&self, new: &mut Object) {
        new.default_to("type", "Opaque");
        let Some(Value::Object(texts)) = new.drop_field("stringData") else {
            return;
        };
        let data = new.child_mut("data");
        for (key, text) in texts {
            data.put(&key, STANDARD.encode(text.as_str().unwrap_or_default()));
        }
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["type"]
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::check(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = Vec::new();
        Node::root(new).immutable(&Node::root(old), "type", &mut errors);
        super::config_map::frozen(new, old, &["data"], &mut errors);
        errors.extend(validate::check(new));
        errors
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        tls_warning(new).into_iter().collect()
    }
    print_with!(print::core::SECRET);
}

/// What keeps the certificate and the key of a TLS secret from being used.
fn tls_warning(secret: &Object) -> Option<String> {
    let root = Node::root(secret);
    if root.text("type") != "kubernetes.io/tls" {
        return None;
    }
    let data = root.child("data");
    let bytes = |key: &str| STANDARD.decode(data.text(key)).unwrap_or_default();
    tls::problem(&bytes("tls.crt"), &bytes("tls.key"))
}
