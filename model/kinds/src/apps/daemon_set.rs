//! DaemonSet.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::{Value, json};

use super::validate;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `apps/v1 DaemonSet`.
pub(crate) struct DaemonSet;

impl Strategy for DaemonSet {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        let strategy = spec.child_mut("updateStrategy");
        strategy.default_to("type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            strategy.default_to("rollingUpdate", json!({}));
            let rolling = strategy.child_mut("rollingUpdate");
            for (limit, value) in [("maxUnavailable", 1), ("maxSurge", 0)] {
                if rolling.get(limit).is_none() {
                    rolling.put(limit, value);
                }
            }
        }
        // Internally the limits are no pointers, so that what is not said is zero.
        let strategy = spec.child_mut("updateStrategy");
        if let Some(rolling) = strategy
            .get_mut("rollingUpdate")
            .filter(|one| one.is_object())
        {
            for limit in ["maxUnavailable", "maxSurge"] {
                if rolling.lacks(limit) {
                    rolling.put(limit, 0);
                }
            }
        }
        spec.default_to("revisionHistoryLimit", 10);
        // Conversion writes it before the field's first value is known, so that the writer owns it.
        let annotations = new.child_mut("metadata").child_mut("annotations");
        annotations.default_to(TEMPLATE_GENERATION, "0");
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        new.child_mut("spec").drop_field("templateGeneration");
        let asked = new.str_at(&["metadata", "annotations", TEMPLATE_GENERATION]);
        let asked: i64 = asked.and_then(|text| text.parse().ok()).unwrap_or_default();
        template_generation(new, asked.max(1));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        let known = old.str_at(&["metadata", "annotations", TEMPLATE_GENERATION]);
        let known: i64 = known.and_then(|text| text.parse().ok()).unwrap_or_default();
        let changed = new.at(&["spec", "template"]) != old.at(&["spec", "template"]);
        template_generation(new, known + i64::from(changed));
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        // It belongs to the spec, which a status does not touch.
        let known = old.str_at(&["metadata", "annotations", TEMPLATE_GENERATION]);
        template_generation(
            new,
            known.and_then(|text| text.parse().ok()).unwrap_or_default(),
        );
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::daemon_set(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = Vec::new();
        validate::same_selector(new, old, &mut errors);
        errors.extend(self.validate(new, cx));
        errors
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        // Upstream asks for another generation of the template, which it has once it is another one.
        let template = ["spec", "template"];
        if old.is_some_and(|old| old.at(&template) == new.at(&template)) {
            return Vec::new();
        }
        warnings::workload(new, None, &template)
    }
    print_with!(print::apps::DAEMON_SET);
}

/// Where the retired field `spec.templateGeneration` lives on.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn template_generation(new: &mut Object, generation: i64) {
    new.child_mut("metadata")
        .child_mut("annotations")
        .put(TEMPLATE_GENERATION, generation.to_string());
}
