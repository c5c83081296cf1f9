//! HorizontalPodAutoscaler: stored as v2, served as v1 too.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::{Value, json};

use super::validate;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Default target of CPU use, in percent.
const CPU_PERCENT: i64 = 80;

/// Rules of `autoscaling/v2`.
pub(crate) struct V2Form;
/// Rules of `autoscaling/v1`.
pub(crate) struct V1Form;

impl Strategy for V2Form {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("minReplicas", 1);
        if spec.list_at(&["metrics"]).is_empty() {
            spec.put("metrics", json!([cpu_metric(CPU_PERCENT)]));
        }
        if let Some(behavior) = spec.get_mut("behavior") {
            let policies = json!([
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ]);
            let up = json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": policies});
            fill(behavior.child_mut("scaleUp"), &up);
            let policies = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
            fill(
                behavior.child_mut("scaleDown"),
                &json!({"selectPolicy": "Max", "policies": policies}),
            );
        }
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::autoscaler(new)
    }
    fn validate_update(&self, new: &Object, _old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        validate::autoscaler(new)
    }
    print_with!(print::scaling::HORIZONTAL_POD_AUTOSCALER);
}

impl Strategy for V1Form {
    /// Source: `Convert_v1_HorizontalPodAutoscaler_To_autoscaling_HorizontalPodAutoscaler`, for the target.
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("minReplicas", 1);
        spec.default_to("targetCPUUtilizationPercentage", CPU_PERCENT);
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn store_form(&self, object: &mut Object) {
        let spec = object.child_mut("spec");
        let percent = spec
            .drop_field("targetCPUUtilizationPercentage")
            .and_then(|percent| percent.as_i64());
        spec.put(
            "metrics",
            json!([cpu_metric(percent.unwrap_or(CPU_PERCENT))]),
        );
        let status = object.child_mut("status");
        let current = status
            .drop_field("currentCPUUtilizationPercentage")
            .and_then(|percent| percent.as_i64());
        let metrics = current.map(|percent| {
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}])
        });
        status.put("currentMetrics", metrics.unwrap_or_default());
        // The older form always shows it, the stored one never when there are none.
        if status.int_at(&["currentReplicas"]) == Some(0) {
            status.drop_field("currentReplicas");
        }
    }
    fn served_form(&self, object: &mut Object) {
        // DIFFERS: metrics other than CPU and the behavior are not carried along in annotations.
        let percent = cpu_percent(object.list_at(&["spec", "metrics"]), "target");
        let current = cpu_percent(object.list_at(&["status", "currentMetrics"]), "current");
        let spec = object.child_mut("spec");
        spec.drop_field("metrics");
        spec.drop_field("behavior");
        if let Some(percent) = percent {
            spec.put("targetCPUUtilizationPercentage", percent);
        }
        let status = object.child_mut("status");
        status.drop_field("currentMetrics");
        status.drop_field("conditions");
        status.default_to("currentReplicas", 0);
        status.default_to("desiredReplicas", 0);
        if let Some(percent) = current {
            status.put("currentCPUUtilizationPercentage", percent);
        }
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut stored = new.clone();
        self.store_form(&mut stored);
        validate::autoscaler(&stored)
    }
    print_with!(print::scaling::HORIZONTAL_POD_AUTOSCALER);
}

fn cpu_metric(percent: i64) -> Value {
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn cpu_percent(metrics: &[Value], field: &str) -> Option<i64> {
    let is_cpu = |metric: &&Value| metric.str_at(&["resource", "name"]) == Some("cpu");
    metrics
        .iter()
        .find(is_cpu)?
        .int_at(&["resource", field, "averageUtilization"])
}

fn fill(rules: &mut Value, defaults: &Value) {
    for (field, value) in defaults.as_object().into_iter().flatten() {
        if rules.get(field).is_none() {
            rules.put(field, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_shows_the_target_that_it_is_stored_with() {
        let mut asked = json!({"spec": {"maxReplicas": 2}});
        V1Form.default(&mut asked);
        assert_eq!(asked["spec"]["targetCPUUtilizationPercentage"], CPU_PERCENT);
    }
}
