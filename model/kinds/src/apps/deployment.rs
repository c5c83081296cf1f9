//! Deployment.

use meta::{FieldError, Object, ObjectExt as _, Path};
use serde_json::{Value, json};

use super::validate;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Scale, Strategy};

/// Rules of `apps/v1 Deployment`.
pub(crate) struct Deployment;

impl Strategy for Deployment {
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        match subresource {
            None => vec![Path::new("status")],
            Some(_) => ["spec", "metadata.labels"].map(Path::new).into(),
        }
    }
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("replicas", 1);
        let strategy = spec.child_mut("strategy");
        strategy.default_to("type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            strategy.default_to("rollingUpdate", json!({}));
            let rolling = strategy.child_mut("rollingUpdate");
            for limit in ["maxUnavailable", "maxSurge"] {
                if rolling.get(limit).is_none() {
                    rolling.put(limit, "25%");
                }
            }
        }
        spec.default_to("revisionHistoryLimit", 10);
        spec.default_to("progressDeadlineSeconds", 600);
    }
    fn is_respecified(&self, new: &Object, old: &Object) -> bool {
        let marks = |object: &Object| object.at(&["metadata", "annotations"]).cloned();
        crate::metadata::is_respecified(new, old) || marks(new) != marks(old)
    }
    fn scale(&self) -> Option<Scale> {
        Some(Scale::standard())
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::deployment(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = self.validate(new, cx);
        validate::same_selector(new, old, &mut errors);
        errors
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        warnings::named_workload(new, old, &["spec", "template"])
    }
    print_with!(print::apps::DEPLOYMENT);
}
