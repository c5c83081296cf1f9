//! ReplicationController.

use meta::{FieldError, Object, ObjectExt as _, names};
use serde_json::Value;

use super::pod_spec::validate::{Selector, template_for_controller};
use crate::check::Node;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Scale, Strategy};

/// Rules of `v1 ReplicationController`.
pub(crate) struct ReplicationController;

impl Strategy for ReplicationController {
    fn default(&self, new: &mut Object) {
        let labels = new.at(&["spec", "template", "metadata", "labels"]).cloned();
        let Some(labels) = labels else {
            return;
        };
        let is_empty = |value: Option<&Value>| {
            value
                .and_then(Value::as_object)
                .is_none_or(serde_json::Map::is_empty)
        };
        if is_empty(new.at(&["spec", "selector"])) {
            new.child_mut("spec").put("selector", labels.clone());
        }
        if is_empty(new.at(&["metadata", "labels"])) {
            new.child_mut("metadata").put("labels", labels);
        }
    }
    /// Source: `ValidateReplicationController`, which looks at the name alone.
    fn name_errors(&self, name: &str, is_prefix: bool) -> Vec<String> {
        if is_prefix {
            names::path_segment(name)
        } else {
            names::dns1123_subdomain(name)
        }
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.replicas"]
    }
    fn selectable_value(&self, object: &Object, _field: &str) -> String {
        object
            .int_at(&["status", "replicas"])
            .unwrap_or_default()
            .to_string()
    }
    fn scale(&self) -> Option<Scale> {
        Some(Scale::standard())
    }
    fn orphans_by_default(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Node::root(new).child("spec");
        spec.not_negative("minReadySeconds", &mut errors);
        if !spec.has_items("selector") {
            errors.push(FieldError::required(&spec.at("selector"), ""));
        }
        spec.not_negative("replicas", &mut errors);
        if spec.has("template") {
            let selector = Selector::Labels(spec.value.get("selector"));
            let kind = "ReplicationController";
            template_for_controller(&spec.child("template"), selector, kind, &mut errors);
        } else {
            errors.push(FieldError::required(&spec.at("template"), ""));
        }
        errors
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        match old {
            // Upstream swaps the two, and so warns about the template that was.
            Some(old) if old.generation() != new.generation() => {
                warnings::workload(old, Some(new), &["spec", "template"])
            }
            old => warnings::named_workload(new, old, &["spec", "template"]),
        }
    }
    print_with!(print::apps::REPLICATION_CONTROLLER);
}
