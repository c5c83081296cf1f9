//! The specs of the flow schemas and priority levels that are always there, with their defaults.
//!
//! Source: apiserver `apis/flowcontrol/bootstrap/default.go`, the mandatory ones.

use meta::ObjectExt as _;
use serde_json::{Value, json};

/// The only spec that a flow schema of this name may have; `None` when it may have any.
pub fn flow_schema(name: &str) -> Option<Value> {
    let (precedence, groups) = match name {
        "exempt" => (1, &["system:masters"] as &[_]),
        "catch-all" => (
            10_000,
            &["system:unauthenticated", "system:authenticated"] as &[_],
        ),
        _ => return None,
    };
    let subjects: Vec<Value> = groups
        .iter()
        .map(|group| json!({"kind": "Group", "group": {"name": group}}))
        .collect();
    let mut spec = json!({
        "priorityLevelConfiguration": {"name": name},
        "matchingPrecedence": precedence,
        "rules": [{
            "subjects": subjects,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    });
    if name == "catch-all" {
        spec.set(&["distinguisherMethod"], json!({"type": "ByUser"}));
    }
    Some(spec)
}

/// The only spec that a priority level of this name may have, but for its field `exempt`; `None` when it may have any.
pub fn priority_level(name: &str) -> Option<Value> {
    match name {
        "exempt" => Some(json!({"type": "Exempt"})),
        "catch-all" => Some(json!({
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 5,
                "lendablePercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        })),
        _ => None,
    }
}
