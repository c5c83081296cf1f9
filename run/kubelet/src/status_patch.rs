//! The difference between two statuses as a strategic merge patch.
//!
//! Only what changed is sent, so that conditions others write at the same time survive.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Map, Value, json};

/// Lists whose elements are merged by a key, and so must be told when one goes away.
const REPLACED: [&str; 2] = ["podIPs", "hostIPs"];

/// The patch that turns one status into another; `None` when they are the same.
pub(crate) fn patch(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let old = fields(old);
    let new = fields(new);
    let mut changes = Map::new();
    for (name, value) in &new {
        let before = old.get(name);
        if before == Some(value) {
            continue;
        }
        let change = match (name.as_str(), value) {
            // The server keeps its own order: the same conditions in another order are no change.
            ("conditions", Value::Array(conditions)) => match changed(before, conditions) {
                changed if changed.is_empty() => continue,
                changed => Value::Array(changed),
            },
            (name, Value::Array(list)) if REPLACED.contains(&name) && before.is_some() => {
                let mut list = list.clone();
                list.push(json!({ "$patch": "replace" }));
                Value::Array(list)
            }
            _ => value.clone(),
        };
        changes.insert(name.clone(), change);
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        changes.insert(name.clone(), Value::Null);
    }
    (!changes.is_empty()).then(|| json!({ "metadata": { "uid": uid }, "status": changes }))
}

/// Conditions that differ, with `null` for what one has lost, and what is said of no more.
fn changed(before: Option<&Value>, conditions: &[Value]) -> Vec<Value> {
    let before = before
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let differs = |one: &&Value| !before.contains(one);
    let completed = |one: &Value| {
        let mut one = one.clone();
        let same = before
            .iter()
            .find(|other| other.get("type") == one.get("type"));
        if let (Some(own), Some(other)) = (one.as_object_mut(), same.and_then(Value::as_object)) {
            for lost in other
                .keys()
                .filter(|key| !own.contains_key(*key))
                .cloned()
                .collect::<Vec<_>>()
            {
                own.insert(lost, Value::Null);
            }
        }
        one
    };
    let is_lost = |one: &&Value| {
        let mut others = conditions.iter();
        !others.any(|other| other.get("type") == one.get("type"))
    };
    let lost = before.iter().filter(is_lost);
    let deleted = |one: &Value| json!({ "$patch": "delete", "type": one.get("type") });
    let kept = conditions.iter().filter(differs).map(completed);
    kept.chain(lost.map(deleted)).collect()
}

fn fields(status: &PodStatus) -> Map<String, Value> {
    match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn equal_statuses_need_no_patch() {
        let one = status(json!({ "phase": "Running" }));
        assert_eq!(patch("u", &one, &one), None);
    }

    #[test]
    fn another_order_of_conditions_needs_no_patch() {
        let (one, two) = (
            json!({ "type": "Ready", "status": "True" }),
            json!({ "type": "Other", "status": "True" }),
        );
        let old = status(json!({ "conditions": [one, two] }));
        let new = status(json!({ "conditions": [two, one] }));
        assert_eq!(patch("u", &old, &new), None);
    }

    #[test]
    fn conditions_that_are_said_no_more_are_deleted() {
        let one = |type_: &str| json!({ "type": type_, "status": "True" });
        let old = status(json!({ "conditions": [one("Mine"), one("Theirs")] }));
        let new = status(json!({ "conditions": [one("Theirs")] }));
        let gone = json!([{ "$patch": "delete", "type": "Mine" }]);
        assert_eq!(
            patch("u", &old, &new).unwrap()["status"]["conditions"],
            gone
        );
    }

    #[test]
    fn only_changes_are_sent() {
        let old = status(
            json!({ "phase": "Pending", "reason": "x", "podIPs": [{ "ip": "1" }], "hostIP": "h",
            "conditions": [{ "type": "Ready", "status": "False", "reason": "r" }, { "type": "Other", "status": "True" }] }),
        );
        let new = status(
            json!({ "phase": "Running", "podIPs": [{ "ip": "2" }], "hostIP": "h",
            "conditions": [{ "type": "Ready", "status": "True" }, { "type": "Other", "status": "True" }] }),
        );
        assert_eq!(
            patch("u", &old, &new).unwrap(),
            json!({ "metadata": { "uid": "u" }, "status": {
                "phase": "Running", "reason": null, "podIPs": [{ "ip": "2" }, { "$patch": "replace" }],
                "conditions": [{ "type": "Ready", "status": "True", "reason": null }] } })
        );
    }
}
