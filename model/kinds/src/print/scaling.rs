//! The tables of disruption budgets and autoscalers.

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::{AGE, Col, EVERYTHING, NAME, Printer, age, number};

/// Scales.
pub(crate) static SCALE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Desired",
            "integer",
            "@io.k8s.api.autoscaling.v1.ScaleSpec.replicas",
            0,
        ),
        Col(
            "Available",
            "integer",
            "@io.k8s.api.autoscaling.v1.ScaleStatus.replicas",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            number(object, &["spec", "replicas"]),
            number(object, &["status", "replicas"]),
            age(object, now),
        ]
    },
};

/// PodDisruptionBudgets.
pub(crate) static POD_DISRUPTION_BUDGET: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Min Available",
            "string",
            "The minimum number of pods that must be available.",
            0,
        ),
        Col(
            "Max Unavailable",
            "string",
            "The maximum number of pods that may be unavailable.",
            0,
        ),
        Col(
            "Allowed Disruptions",
            "integer",
            "Calculated number of pods that may be disrupted at this time.",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let limit = |field: &str| match object.at(&["spec", field]) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "N/A".to_owned(),
        };
        vec![
            object.name().into(),
            limit("minAvailable").into(),
            limit("maxUnavailable").into(),
            number(object, &["status", "disruptionsAllowed"]),
            age(object, now),
        ]
    },
};

/// HorizontalPodAutoscalers.
pub(crate) static HORIZONTAL_POD_AUTOSCALER: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Reference",
            "string",
            "@io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec.scaleTargetRef",
            0,
        ),
        Col(
            "Targets",
            "string",
            "@io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec.metrics",
            0,
        ),
        Col(
            "MinPods",
            "string",
            "@io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec.minReplicas",
            0,
        ),
        Col(
            "MaxPods",
            "string",
            "@io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec.maxReplicas",
            0,
        ),
        Col(
            "Replicas",
            "string",
            "@io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus.currentReplicas",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let target = |field: &str| {
            object
                .str_at(&["spec", "scaleTargetRef", field])
                .unwrap_or_default()
        };
        let least = object.int_at(&["spec", "minReplicas"]);
        vec![
            object.name().into(),
            format!("{}/{}", target("kind"), target("name")).into(),
            metrics(object).into(),
            least
                .map_or_else(|| "<unset>".to_owned(), |least| least.to_string())
                .into(),
            number(object, &["spec", "maxReplicas"]),
            number(object, &["status", "currentReplicas"]),
            age(object, now),
        ]
    },
};

/// Most metrics that are printed.
const METRICS_MAX: usize = 2;

fn metrics(object: &Object) -> String {
    let specs = object.list_at(&["spec", "metrics"]);
    let statuses = object.list_at(&["status", "currentMetrics"]);
    if specs.is_empty() {
        // Read as v1, it has one metric at most, in a field of its own.
        let percent = |value: i64| format!("{value}%");
        let target = object.int_at(&["spec", "targetCPUUtilizationPercentage"]);
        let now = object.int_at(&["status", "currentCPUUtilizationPercentage"]);
        let now = now.map_or_else(|| "<unknown>".to_owned(), percent);
        return target.map_or_else(
            || "<none>".to_owned(),
            |target| format!("cpu: {now}/{}", percent(target)),
        );
    }
    let texts: Vec<String> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| metric(spec, statuses.get(index)))
        .take(METRICS_MAX)
        .collect();
    let shown = texts.join(", ");
    if specs.len() > METRICS_MAX {
        return format!("{shown} + {} more...", specs.len() - METRICS_MAX);
    }
    shown
}

fn metric(spec: &Value, status: Option<&Value>) -> String {
    let source = match spec.str_at(&["type"]).unwrap_or_default() {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".into(),
    };
    let current =
        |field: &str| status.and_then(|status| status.str_at(&[source, "current", field]));
    let average = spec.str_at(&[source, "target", "averageValue"]);
    let is_resource = source.ends_with("esource");
    let name = spec.str_at(&[source, "name"]).unwrap_or_default();
    match average {
        Some(target) if is_resource => {
            format!(
                "{name}: {}/{target}",
                current("averageValue").unwrap_or("<unknown>")
            )
        }
        Some(target) if source == "pods" => {
            format!(
                "{}/{target}",
                current("averageValue").unwrap_or("<unknown>")
            )
        }
        Some(target) => format!(
            "{}/{target} (avg)",
            current("averageValue").unwrap_or("<unknown>")
        ),
        None if is_resource => {
            let percent = |value: Option<i64>, nothing: &str| {
                value.map_or_else(|| nothing.to_owned(), |value| format!("{value}%"))
            };
            let path = [source, "current", "averageUtilization"];
            let now = status.and_then(|status| status.int_at(&path));
            let target = spec.int_at(&[source, "target", "averageUtilization"]);
            format!(
                "{name}: {}/{}",
                percent(now, "<unknown>"),
                percent(target, "<auto>")
            )
        }
        None => {
            let target = spec
                .str_at(&[source, "target", "value"])
                .unwrap_or_default();
            format!("{}/{target}", current("value").unwrap_or("<unknown>"))
        }
    }
}
