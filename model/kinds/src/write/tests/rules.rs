//! More rules that the recordings do not reach, found by asking a stock server.

use serde_json::{Value, json};

use super::addresses::warned;
use super::cases::{pod_refused, refused};

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

#[test]
fn huge_pages_come_whole_and_not_alone() {
    let limits = |name: &str, amount: &str| json!({"resources": {"limits": {name: amount, "memory": "1Gi"}}});
    for (name, amount) in [("hugepages-2Mi", "3Mi"), ("hugepages-x", "1")] {
        // Requests are those of the limits.
        let [limit, request] = ["limits", "requests"].map(|list| {
            format!(
                "spec.containers[0].resources.{list}[{name}]: Invalid value: \"{amount}\": {amount} is not positive integer multiple of {name}"
            )
        });
        let why = format!("[{limit}, {request}]");
        pod_refused(limits(name, amount), json!({}), &why);
    }
    let class = json!({"handler": "x", "overhead": {"podFixed": {"hugepages-2Mi": "3Mi"}}});
    let why = "[overhead.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi, overhead: Forbidden: HugePages require cpu or memory]";
    refused("node.k8s.io/v1", "RuntimeClass", class, why);
}

#[test]
fn classes_with_old_node_labels_are_warned_of() {
    let selector = json!({"beta.kubernetes.io/os": "linux", "a": "b"});
    let class = json!({"handler": "x", "scheduling": {"nodeSelector": selector}});
    let why = r#"scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead"#;
    assert_eq!(warned("node.k8s.io/v1", "RuntimeClass", class), [why]);
}

