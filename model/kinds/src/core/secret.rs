//! Secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::Object;
use serde_json::Value;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

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
    print_with!(print::core::SECRET);
}
