//! Expressions in every place that takes one, with what a stock server says of them (`expressions.jsonl`).

use serde_json::{Value, json};

use super::harness::{Outcome, created};
use crate::Registry;

/// Compares each recorded expression.
pub(super) fn outcomes(registry: &Registry) -> Vec<(String, Outcome)> {
    let lines = include_str!("expressions.jsonl").lines();
    lines
        .map(|line| {
            let recorded: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| recorded[name].as_str().unwrap_or_default();
            let (form, expression) = (text("form"), text("text"));
            let input = object(form, expression);
            let gvk = meta::Gvk {
                group: input["apiVersion"]
                    .as_str()
                    .unwrap()
                    .trim_end_matches("/v1")
                    .to_owned(),
                version: "v1".to_owned(),
                kind: input["kind"].as_str().unwrap().to_owned(),
            };
            let (message, causes) = match created(registry.kind(&gvk).unwrap(), input) {
                Ok(_) => (Value::Null, Value::Null),
                Err(refusal) => {
                    let causes = refusal.0.details.iter().flat_map(|details| &details.causes);
                    let causes = causes.map(|cause| json!([cause.field, cause.reason]));
                    (
                        refusal.0.message.clone().into(),
                        Value::Array(causes.collect()),
                    )
                }
            };
            let id = format!("{form} {expression:.100}");
            let outcome = if (&message, &causes) == (&recorded["message"], &recorded["causes"]) {
                Outcome::Equal
            } else {
                let shown = |value: &Value| value.as_str().unwrap_or("taken").to_owned();
                Outcome::Differs(format!(
                    "\n--- ours\n{}\n--- theirs\n{}\n",
                    shown(&message),
                    shown(&recorded["message"])
                ))
            };
            (id, outcome)
        })
        .collect()
}

fn object(form: &str, text: &str) -> Value {
    let metadata = json!({"name": "p"});
    let selectors = json!([{"cel": {"expression": text}}]);
    let condition = json!([{"name": "c", "expression": text}]);
    let (group, kind, body) = match form {
        "webhook" => {
            let hook = json!({
                "name": "a.b.c", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"url": "https://a/b"}, "matchConditions": condition,
            });
            (
                "admissionregistration",
                "ValidatingWebhookConfiguration",
                json!({"webhooks": [hook]}),
            )
        }
        "device" => {
            let exactly = json!({"deviceClassName": "c", "selectors": selectors});
            let request = json!({"name": "r", "exactly": exactly});
            let spec = json!({"devices": {"requests": [request]}});
            ("resource", "ResourceClaim", json!({"spec": spec}))
        }
        "class" => (
            "resource",
            "DeviceClass",
            json!({"spec": {"selectors": selectors}}),
        ),
        _ => policy(form, text, &condition),
    };
    let mut object =
        json!({"apiVersion": format!("{group}.k8s.io/v1"), "kind": kind, "metadata": metadata});
    merge(&mut object, body);
    object
}

fn policy(form: &str, text: &str, condition: &Value) -> (&'static str, &'static str, Value) {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
    let mut spec = json!({"matchConstraints": {"resourceRules": [rule]}});
    let kind = match form {
        "patch" | "apply" => "MutatingAdmissionPolicy",
        _ => "ValidatingAdmissionPolicy",
    };
    let expression = json!({"expression": text});
    let fields = match form {
        "validation" => json!({"validations": [expression]}),
        "params" => json!({
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "matchConditions": condition,
            "validations": [expression],
        }),
        "message" => json!({"validations": [{"expression": "true", "messageExpression": text}]}),
        "audit" => json!({"auditAnnotations": [{"key": "k", "valueExpression": text}]}),
        "condition" => {
            json!({"matchConditions": condition, "validations": [{"expression": "true"}]})
        }
        "variable" => json!({
            "variables": [
                {"name": "v", "expression": text},
                {"name": "w", "expression": "variables.v"},
            ],
            "validations": [{"expression": "variables.v"}, {"expression": "variables.w.foo"}],
        }),
        "patch" => json!({"reinvocationPolicy": "Never", "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": expression},
        ]}),
        "apply" => json!({"reinvocationPolicy": "Never", "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": expression},
        ]}),
        other => panic!("no form is called {other}"),
    };
    merge(&mut spec, fields);
    ("admissionregistration", kind, json!({"spec": spec}))
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    into.as_object_mut().unwrap().extend(from);
}
