//! What `autoscaling/v1` has no fields for travels in annotations: metrics but the use of CPU, how to scale, and conditions.
//!
//! Source: `pkg/apis/autoscaling/v1/conversion.go`, `pkg/apis/autoscaling/annotations.go`.

use meta::{Object, ObjectExt as _};
use serde_json::{Map, Value, json};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
/// Nobody but a conversion writes these.
const OWN: [&str; 6] = [
    METRICS,
    CURRENT_METRICS,
    CONDITIONS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
];

/// A field of v1, where it stands in v2, and what v1 says where v2 has none.
type Field = (&'static str, &'static [&'static str], Option<&'static str>);
/// The sources of metrics with their fields.
type Sources = [(&'static str, &'static [Field]); 5];

const NAME: Field = ("metricName", &["metric", "name"], None);
const SELECTOR: Field = ("selector", &["metric", "selector"], None);
const DESCRIBED: Field = ("target", &["describedObject"], None);
const ZERO: Option<&str> = Some("0");

const SPECS: Sources = [
    (
        "object",
        &[
            DESCRIBED,
            NAME,
            ("targetValue", &["target", "value"], ZERO),
            SELECTOR,
            ("averageValue", &["target", "averageValue"], None),
        ],
    ),
    (
        "pods",
        &[
            NAME,
            ("targetAverageValue", &["target", "averageValue"], ZERO),
            SELECTOR,
        ],
    ),
    (
        "resource",
        &[
            ("name", &["name"], None),
            (
                "targetAverageUtilization",
                &["target", "averageUtilization"],
                None,
            ),
            ("targetAverageValue", &["target", "averageValue"], None),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", &["name"], None),
            (
                "targetAverageUtilization",
                &["target", "averageUtilization"],
                None,
            ),
            ("targetAverageValue", &["target", "averageValue"], None),
            ("container", &["container"], None),
        ],
    ),
    (
        "external",
        &[
            NAME,
            ("metricSelector", &["metric", "selector"], None),
            ("targetValue", &["target", "value"], None),
            ("targetAverageValue", &["target", "averageValue"], None),
        ],
    ),
];

const STATUSES: Sources = [
    (
        "object",
        &[
            DESCRIBED,
            NAME,
            ("currentValue", &["current", "value"], ZERO),
            SELECTOR,
            ("averageValue", &["current", "averageValue"], None),
        ],
    ),
    (
        "pods",
        &[
            NAME,
            ("currentAverageValue", &["current", "averageValue"], ZERO),
            SELECTOR,
        ],
    ),
    (
        "resource",
        &[
            ("name", &["name"], None),
            (
                "currentAverageUtilization",
                &["current", "averageUtilization"],
                None,
            ),
            ("currentAverageValue", &["current", "averageValue"], ZERO),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", &["name"], None),
            (
                "currentAverageUtilization",
                &["current", "averageUtilization"],
                None,
            ),
            ("currentAverageValue", &["current", "averageValue"], ZERO),
            ("container", &["container"], None),
        ],
    ),
    (
        "external",
        &[
            NAME,
            ("metricSelector", &["metric", "selector"], None),
            ("currentValue", &["current", "value"], ZERO),
            ("currentAverageValue", &["current", "averageValue"], None),
        ],
    ),
];

/// The fields of behavior as they are told, and in v2.
const RULES: [(&str, &str); 4] = [
    ("StabilizationWindowSeconds", "stabilizationWindowSeconds"),
    ("SelectPolicy", "selectPolicy"),
    ("Policies", "policies"),
    ("Tolerance", "tolerance"),
];
const POLICY: [(&str, &str); 3] = [
    ("Type", "type"),
    ("Value", "value"),
    ("PeriodSeconds", "periodSeconds"),
];
const DIRECTIONS: [(&str, &str); 2] = [("ScaleUp", "scaleUp"), ("ScaleDown", "scaleDown")];

/// Whether a metric is what v1 has a field for.
pub(super) fn is_cpu_use(metric: &Value) -> bool {
    metric.str_at(&["type"]) == Some("Resource")
        && metric.str_at(&["resource", "name"]) == Some("cpu")
        && metric
            .at(&["resource", "target", "averageUtilization"])
            .is_some()
}

/// Tells in annotations what a v2 object has beyond v1.
pub(super) fn carry(object: &mut Object) {
    let told = [
        (METRICS, {
            let others = object.list_at(&["spec", "metrics"]).iter();
            let others = others.filter(|metric| !is_cpu_use(metric));
            list(others.map(|metric| older(metric, &SPECS)).collect())
        }),
        (CURRENT_METRICS, {
            let current = object.list_at(&["status", "currentMetrics"]).iter();
            list(current.map(|metric| older(metric, &STATUSES)).collect())
        }),
        (
            BEHAVIOR,
            object.at(&["spec", "behavior"]).map(older_behavior),
        ),
        (
            CONDITIONS,
            list(object.list_at(&["status", "conditions"]).to_vec()),
        ),
    ];
    forget(object);
    for (name, told) in told {
        if let Some(told) = told {
            let text = ordered(&told, false);
            object.set(&["metadata", "annotations", name], text.into());
        }
    }
}

/// Metrics that the annotations tell; empty when they tell none that can be read.
pub(super) fn metrics(object: &Object) -> Vec<Value> {
    let told = read(object, METRICS);
    let told = told
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    told.map(newer).collect()
}

/// Takes out of the annotations what a v2 object has beyond v1, but for its metrics.
pub(super) fn fetch(object: &mut Object) {
    if let Some(Value::Array(told)) = read(object, CURRENT_METRICS) {
        let current: Vec<Value> = told.iter().map(|one| inverse(one, &STATUSES)).collect();
        object.set(&["status", "currentMetrics"], current.into());
    }
    if let Some(Value::Array(told)) = read(object, CONDITIONS) {
        object.set(&["status", "conditions"], told.into());
    }
    if let Some(behavior) = read(object, BEHAVIOR).and_then(|told| newer_behavior(&told)) {
        object.set(&["spec", "behavior"], behavior);
    }
    forget(object);
}

/// Puts what the annotations tell of the status back to what the old object's told; a new object has none.
///
/// Source: `autoscalerStrategy.PrepareForCreate` and `PrepareForUpdate`, before which annotations are fields.
pub(super) fn keep_status(new: &mut Object, old: Option<&Object>) {
    keep(new, old, [CURRENT_METRICS, CONDITIONS]);
}

/// Puts what the annotations tell of the spec back to what the old object's told.
///
/// Source: `autoscalerStatusStrategy.PrepareForUpdate`.
pub(super) fn keep_spec(new: &mut Object, old: &Object) {
    keep(new, Some(old), [METRICS, BEHAVIOR]);
}

fn keep(new: &mut Object, old: Option<&Object>, names: [&str; 2]) {
    for name in names {
        match old.and_then(|old| old.annotation(name)) {
            Some(told) => new.set(&["metadata", "annotations", name], told.into()),
            None => {
                new.remove(&["metadata", "annotations", name]);
            }
        }
    }
    drop_empty(new);
}

fn read(object: &Object, name: &str) -> Option<Value> {
    serde_json::from_str(object.annotation(name)?).ok()
}

/// Takes the annotations away.
fn forget(object: &mut Object) {
    for name in OWN {
        object.remove(&["metadata", "annotations", name]);
    }
    drop_empty(object);
}

fn drop_empty(object: &mut Object) {
    let annotations = object.at(&["metadata", "annotations"]);
    if annotations
        .and_then(Value::as_object)
        .is_some_and(Map::is_empty)
    {
        object.remove(&["metadata", "annotations"]);
    }
}

fn list(items: Vec<Value>) -> Option<Value> {
    (!items.is_empty()).then(|| items.into())
}

/// A metric in the form of v1.
fn older(metric: &Value, sources: &Sources) -> Value {
    let mut told = json!({"type": metric.str_at(&["type"])});
    for (source, fields) in sources {
        let Some(from) = metric.get(source) else {
            continue;
        };
        for (field, path, otherwise) in *fields {
            let value = from.at(path).cloned();
            if let Some(value) = value.or_else(|| otherwise.map(Value::from)) {
                told.set(&[source, field], value);
            }
        }
    }
    told
}

/// A metric in the form of v2, from that of v1, but for the type of a target.
fn inverse(told: &Value, sources: &Sources) -> Value {
    let mut metric = json!({"type": told.str_at(&["type"])});
    for (source, fields) in sources {
        let Some(from) = told.get(source) else {
            continue;
        };
        for (field, path, _) in *fields {
            if let Some(value) = from.get(field) {
                let path = [&[*source], *path].concat();
                metric.set(&path, value.clone());
            }
        }
    }
    metric
}

/// A metric of a spec in the form of v2.
fn newer(told: &Value) -> Value {
    let mut metric = inverse(told, &SPECS);
    for (source, _) in SPECS {
        let Some(target) = metric.get(source).and_then(|from| from.get("target")) else {
            continue;
        };
        let has = |field: &str| target.get(field).is_some();
        let kind = match source {
            "resource" | "containerResource" if has("averageUtilization") => "Utilization",
            "external" if has("value") => "Value",
            "object" if !has("averageValue") => "Value",
            _ => "AverageValue",
        };
        let is_no_value =
            source == "object" && kind == "AverageValue" && target.str_at(&["value"]) == ZERO;
        metric.set(&[source, "target", "type"], kind.into());
        if is_no_value {
            metric.remove(&[source, "target", "value"]);
        }
    }
    metric
}

/// How to scale, in the form that upstream keeps it in.
fn older_behavior(behavior: &Value) -> Value {
    let told = |from: &Value, fields: &[(&str, &str)]| -> Map<String, Value> {
        let field = |(told, field): &(&str, &str)| {
            let value = from.get(field).cloned();
            ((*told).to_owned(), value.unwrap_or_default())
        };
        fields.iter().map(field).collect()
    };
    let mut directions = told(behavior, &DIRECTIONS);
    for rules in directions.values_mut().filter(|rules| !rules.is_null()) {
        *rules = told(rules, &RULES).into();
        let policies = rules.get_mut("Policies").and_then(Value::as_array_mut);
        for policy in policies.into_iter().flatten() {
            *policy = told(policy, &POLICY).into();
        }
    }
    directions.into()
}

/// How to scale; `None` when nothing is told.
fn newer_behavior(told: &Value) -> Option<Value> {
    let read = |from: &Value, fields: &[(&str, &str)]| -> Map<String, Value> {
        let field = |(told, field): &(&str, &str)| {
            let value = from.get(told).filter(|value| !value.is_null());
            Some(((*field).to_owned(), value?.clone()))
        };
        fields.iter().filter_map(field).collect()
    };
    let mut directions = read(told, &DIRECTIONS);
    for rules in directions.values_mut() {
        *rules = read(rules, &RULES).into();
        let policies = rules.get_mut("policies").and_then(Value::as_array_mut);
        for policy in policies.into_iter().flatten() {
            *policy = read(policy, &POLICY).into();
        }
    }
    (!directions.is_empty()).then(|| directions.into())
}

/// The fields in the order in which Go writes them, over all structs of these annotations.
const ORDER: [&str; 39] = [
    "type",
    "status",
    "lastTransitionTime",
    "reason",
    "message",
    "object",
    "pods",
    "resource",
    "containerResource",
    "external",
    "target",
    "kind",
    "name",
    "apiVersion",
    "metricName",
    "metricSelector",
    "targetAverageUtilization",
    "currentAverageUtilization",
    "targetValue",
    "currentValue",
    "targetAverageValue",
    "currentAverageValue",
    "container",
    "selector",
    "averageValue",
    "matchLabels",
    "matchExpressions",
    "key",
    "operator",
    "values",
    "ScaleUp",
    "ScaleDown",
    "StabilizationWindowSeconds",
    "SelectPolicy",
    "Policies",
    "Tolerance",
    "Type",
    "Value",
    "PeriodSeconds",
];

/// JSON as Go writes it; `is_map` when the names of fields are labels.
fn ordered(value: &Value, is_map: bool) -> String {
    match value {
        Value::Object(fields) => {
            let rank = |name: &str| ORDER.iter().position(|known| *known == name);
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            if !is_map {
                fields.sort_by_key(|(name, _)| rank(name));
            }
            let field = |(name, value): (&String, &Value)| {
                let value = ordered(value, name == "matchLabels");
                format!("{}:{value}", json!(name))
            };
            let fields: Vec<String> = fields.into_iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| ordered(item, false)).collect();
            format!("[{}]", items.join(","))
        }
        other => {
            let mut text = other.to_string();
            for (character, escaped) in ESCAPED {
                text = text.replace(character, escaped);
            }
            text
        }
    }
}

/// What Go escapes beyond what JSON asks for. Source: `encoding/json` `HTMLEscape`.
const ESCAPED: [(char, &str); 3] = [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")];
