//! HorizontalPodAutoscaler: stored as v2, served as v1 too.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::{Value, json};

use super::{older_form, validate};
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
        let has_metrics = !older_form::metrics(new).is_empty();
        let spec = new.child_mut("spec");
        spec.default_to("minReplicas", 1);
        if !has_metrics {
            spec.default_to("targetCPUUtilizationPercentage", CPU_PERCENT);
        }
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn store_form(&self, object: &mut Object) {
        let mut metrics = older_form::metrics(object);
        let spec = object.child_mut("spec");
        let percent = spec.drop_field("targetCPUUtilizationPercentage");
        let percent = percent.and_then(|percent| percent.as_i64());
        metrics.extend(percent.map(cpu_metric));
        if metrics.is_empty() {
            metrics.push(cpu_metric(CPU_PERCENT));
        }
        spec.put("metrics", metrics);
        let status = object.child_mut("status");
        let current = status
            .drop_field("currentCPUUtilizationPercentage")
            .and_then(|percent| percent.as_i64());
        let metrics = current.map(|percent| {
            json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}])
        });
        status.put("currentMetrics", metrics.unwrap_or_default());
        older_form::fetch(object);
        let status = object.child_mut("status");
        // The older form always shows it, the stored one never when there are none.
        if status.int_at(&["currentReplicas"]) == Some(0) {
            status.drop_field("currentReplicas");
        }
    }
    fn served_form(&self, object: &mut Object) {
        older_form::carry(object);
        let mut metrics = object.list_at(&["spec", "metrics"]).iter();
        let cpu = metrics.find(|metric| older_form::is_cpu_use(metric));
        let percent = cpu.and_then(|cpu| cpu.int_at(&["resource", "target", "averageUtilization"]));
        let current = current_cpu_percent(object.list_at(&["status", "currentMetrics"]));
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
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        older_form::keep_status(new, None);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        older_form::keep_status(new, Some(old));
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        older_form::keep_spec(new, old);
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

fn current_cpu_percent(metrics: &[Value]) -> Option<i64> {
    let is_cpu = |metric: &&Value| metric.str_at(&["resource", "name"]) == Some("cpu");
    let percent = ["resource", "current", "averageUtilization"];
    let cpu = metrics.iter().filter(is_cpu);
    cpu.filter_map(|metric| metric.int_at(&percent)).next_back()
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

    /// A v2 object with all that v1 has no fields for.
    fn full() -> Object {
        let selector = json!({"matchLabels": {"type": "a", "app": "b"}});
        let metric = json!({"name": "hits", "selector": selector});
        let described =
            json!({"kind": "Ingress", "name": "i", "apiVersion": "networking.k8s.io/v1"});
        let average = json!({"type": "AverageValue", "averageValue": "1k"});
        json!({
            "metadata": {"name": "h", "annotations": {"own": "kept"}},
            "spec": {
                "minReplicas": 1, "maxReplicas": 9,
                "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                "metrics": [
                    {"type": "Pods", "pods": {"metric": metric, "target": average}},
                    {"type": "Object", "object": {"metric": metric, "describedObject": described, "target": average}},
                    {"type": "External", "external": {"metric": metric, "target": {"type": "Value", "value": "5"}}},
                    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 60}}},
                    {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "c", "target": average}},
                    cpu_metric(70),
                ],
                "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}},
            },
            "status": {
                "currentReplicas": 3, "desiredReplicas": 4,
                "conditions": [{"type": "AbleToScale", "status": "True", "reason": "r", "message": "<m>"}],
                "currentMetrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 55, "averageValue": "1"}}},
                ],
            },
        })
    }

    #[test]
    fn the_older_form_carries_in_annotations_what_it_has_no_fields_for() {
        let stored = full();
        let mut served = stored.clone();
        V1Form.served_form(&mut served);
        assert_eq!(served["spec"]["targetCPUUtilizationPercentage"], 70);
        assert_eq!(served["status"]["currentCPUUtilizationPercentage"], 55);
        let annotation = |name: &str| {
            let name = format!("autoscaling.alpha.kubernetes.io/{name}");
            served.annotation(&name).unwrap().to_owned()
        };
        let metrics = annotation("metrics");
        let pods = r#"[{"type":"Pods","pods":{"metricName":"hits","targetAverageValue":"1k","selector":{"matchLabels":{"app":"b","type":"a"}}}},"#;
        assert!(metrics.starts_with(pods), "{metrics}");
        let object = r#"{"type":"Object","object":{"target":{"kind":"Ingress","name":"i","apiVersion":"networking.k8s.io/v1"},"metricName":"hits","targetValue":"0","selector":"#;
        assert!(metrics.contains(object), "{metrics}");
        assert_eq!(
            annotation("behavior"),
            r#"{"ScaleUp":{"StabilizationWindowSeconds":0,"SelectPolicy":"Max","Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}],"Tolerance":null},"ScaleDown":null}"#
        );
        assert_eq!(
            annotation("current-metrics"),
            r#"[{"type":"Resource","resource":{"name":"cpu","currentAverageUtilization":55,"currentAverageValue":"1"}}]"#
        );
        assert!(annotation("conditions").ends_with(r#""message":"\u003cm\u003e"}]"#));
        V1Form.default(&mut served);
        V1Form.store_form(&mut served);
        assert_eq!(served, stored);
    }

    #[test]
    fn what_annotations_tell_of_a_status_is_no_clients_to_write() {
        let conditions = "autoscaling.alpha.kubernetes.io/conditions";
        let told = |text: &str| json!({"metadata": {"annotations": {conditions: text}}});
        let mut new = told("[]");
        older_form::keep_status(&mut new, None);
        assert_eq!(new.annotation(conditions), None);
        let mut new = told("[]");
        older_form::keep_status(&mut new, Some(&told("[{}]")));
        assert_eq!(new.annotation(conditions), Some("[{}]"));
    }

    #[test]
    fn the_default_of_the_older_form_is_for_those_without_metrics() {
        let mut stored = full();
        stored.set(&["spec", "metrics"], json!([stored["spec"]["metrics"][3]]));
        let mut served = stored.clone();
        V1Form.served_form(&mut served);
        V1Form.default(&mut served);
        assert!(
            served["spec"]
                .get("targetCPUUtilizationPercentage")
                .is_none()
        );
        V1Form.store_form(&mut served);
        assert_eq!(served, stored);
        let bad = json!({"autoscaling.alpha.kubernetes.io/metrics": "nonsense"});
        let mut asked = json!({"metadata": {"annotations": bad}, "spec": {"maxReplicas": 2}});
        V1Form.default(&mut asked);
        V1Form.store_form(&mut asked);
        assert_eq!(asked["spec"]["metrics"], json!([cpu_metric(CPU_PERCENT)]));
        assert!(asked["metadata"].get("annotations").is_none());
    }
}
