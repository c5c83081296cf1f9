//! Conditions in a status: find one, set one the way upstream does.

use jiff::Timestamp;
use meta::ObjectExt;
use serde_json::{Value, json};

/// The condition of a type in a status.
pub fn find<'a>(status: &'a Value, condition_type: &str) -> Option<&'a Value> {
    status
        .list_at(&["conditions"])
        .iter()
        .find(|condition| condition.str_at(&["type"]) == Some(condition_type))
}

/// Whether the condition of a type is `True`.
pub fn is_true(status: &Value, condition_type: &str) -> bool {
    status_of(status, condition_type) == Some("True")
}

/// `True`, `False` or `Unknown`; `None` when there is no such condition.
pub fn status_of<'a>(status: &'a Value, condition_type: &str) -> Option<&'a str> {
    find(status, condition_type).and_then(|condition| condition.str_at(&["status"]))
}

/// Takes a condition out.
pub fn remove(status: &mut Value, condition_type: &str) {
    let mut is_empty = false;
    if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
        conditions.retain(|condition| condition.str_at(&["type"]) != Some(condition_type));
        is_empty = conditions.is_empty();
    }
    if is_empty {
        status.remove(&["conditions"]);
    }
}

/// Puts a condition at the end, replacing one of the same type.
pub fn put(status: &mut Value, condition: Value) {
    let condition_type = condition.str_at(&["type"]).unwrap_or_default().to_owned();
    let mut conditions: Vec<Value> = status.list_at(&["conditions"]).to_vec();
    conditions.retain(|known| known.str_at(&["type"]) != Some(&condition_type));
    conditions.push(condition);
    status.set(&["conditions"], Value::Array(conditions));
}

/// Sets a condition as the workload controllers do: nothing happens when status and reason are as they were, and the
/// transition time moves only with the status. `times` names the time fields beside `lastTransitionTime`.
pub fn set(
    status: &mut Value,
    condition_type: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
    times: &[&str],
) {
    let current = find(status, condition_type);
    let same_status = current.and_then(|known| known.str_at(&["status"])) == Some(value);
    if same_status && current.and_then(|known| known.str_at(&["reason"])) == Some(reason) {
        return;
    }
    let text = meta::time::to_rfc3339(now);
    let since = current
        .filter(|_| same_status)
        .and_then(|known| known.str_at(&["lastTransitionTime"]))
        .unwrap_or(&text)
        .to_owned();
    let mut condition =
        json!({ "type": condition_type, "status": value, "lastTransitionTime": since });
    if !reason.is_empty() {
        condition.set(&["reason"], reason.into());
    }
    if !message.is_empty() {
        condition.set(&["message"], message.into());
    }
    for field in times {
        condition.set(&[field], text.clone().into());
    }
    put(status, condition);
}
