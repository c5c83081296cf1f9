//! More rules that the recordings do not reach, found by asking a stock server.

use serde_json::{Value, json};

use super::cases::refused;

/// A webhook whose rule is for these resources.
fn webhook(client: &Value, resources: &Value) -> Value {
    let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources});
    json!({"webhooks": [{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": client, "rules": [rule]}]})
}

#[test]
fn resources_of_rules_are_not_covered_by_others() {
    let client = json!({"service": {"name": "a", "namespace": "b"}});
    let told = |resources: Value, why: &str| {
        let object = webhook(&client, &resources);
        refused(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            object,
            why,
        );
    };
    let at = "webhooks[0].rules[0].resources";
    told(
        json!(["pods/*", "pods/status"]),
        &format!(
            "{at}[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status"
        ),
    );
    told(
        json!(["*/status", "pods/status"]),
        &format!(
            "{at}[1]: Invalid value: \"pods/status\": if '*/status' is present, must not specify pods/status"
        ),
    );
    told(
        json!(["*", "pods"]),
        &format!(
            "{at}: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not specify other resources without subresources"
        ),
    );
    told(json!(["*", "*"]), "");
    told(json!(["pods/status", "pods/*"]), "");
}

