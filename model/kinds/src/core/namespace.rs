//! Namespace.

use meta::{FieldError, Object, ObjectExt as _, Path, names};
use serde_json::{Value, json};

use crate::check::Node;
use crate::edit::Edit as _;
use crate::metadata::invalid;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// The label that carries the namespace's own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// The finalizer that namespace deletion waits for.
const FINALIZER: &str = "kubernetes";

/// Rules of `v1 Namespace`.
pub(crate) struct Namespace;

impl Strategy for Namespace {
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        match subresource {
            None | Some("finalize") => vec![Path::new("status")],
            Some(_) => vec![Path::new("spec")],
        }
    }
    fn default(&self, new: &mut Object) {
        let name = new.name().to_owned();
        if !name.is_empty() {
            new.child_mut("metadata")
                .child_mut("labels")
                .put(NAME_LABEL, name);
        }
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::dns1123_label(name)
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        new.put("status", json!({"phase": "Active"}));
        let finalizers = new.child_mut("spec").child_mut("finalizers");
        if let Value::Array(items) = finalizers {
            if !items.iter().any(|item| item == FINALIZER) {
                items.push(FINALIZER.into());
            }
        } else {
            *finalizers = json!([FINALIZER]);
        }
        // The name may have been generated after defaulting.
        self.default(new);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        match old.at(&["spec", "finalizers"]) {
            Some(finalizers) => new.child_mut("spec").put("finalizers", finalizers.clone()),
            None => {
                new.child_mut("spec").drop_field("finalizers");
            }
        }
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, cx: &Context<'_>) {
        // Source: `namespaceFinalizeStrategy.PrepareForUpdate`.
        if cx.subresource == Some("finalize") {
            match old.get("status") {
                Some(status) => new.put("status", status.clone()),
                None => {
                    new.drop_field("status");
                }
            }
        }
    }
    fn compares_preconditions(&self) -> bool {
        true
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn mark_deleted(&self, object: &mut Object) {
        object.child_mut("status").put("phase", "Terminating");
        // Source: `registry/core/namespace/storage` `Delete`, which knows no grace.
        let metadata = object.child_mut("metadata");
        metadata.drop_field("deletionGracePeriodSeconds");
    }
    fn is_held(&self, object: &Object) -> bool {
        !object.list_at(&["spec", "finalizers"]).is_empty()
    }
    fn validate(&self, new: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Node::root(new).child("spec");
        for (index, name) in spec.texts("finalizers").into_iter().enumerate() {
            // Upstream says which one it is when they are changed, not when they are made.
            let path = match cx.subresource {
                Some(_) => spec.at("finalizers").index(index),
                None => spec.at("finalizers"),
            };
            errors.extend(invalid(&path, name, names::qualified_name(name)));
            if !name.contains('/') && name != FINALIZER {
                let why = "name is neither a standard finalizer name nor is it fully qualified";
                errors.push(FieldError::invalid(&path, name, why));
            }
        }
        errors
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.phase"]
    }
    print_with!(print::core::NAMESPACE);
}
