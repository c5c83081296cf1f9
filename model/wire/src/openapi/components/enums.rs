//! Enumerations: the values that strings of some types have, in the schema and in words.
//!
//! Source: Kubernetes `pkg/features`, `OpenAPIEnums`, on by default; the words are those of kube-openapi's `enum.go`.

use serde_json::{Map, Value};

use crate::openapi::descriptions;

/// Types whose fields' comments end with a blank line in upstream's sources; it stays when the values follow.
const AFTER_A_BLANK_LINE: &[&str] = &[
    "v1.AllocationConfigSource",
    "v1.DeviceAllocationMode",
    "v1.DeviceTaintEffect",
    "v1.DeviceTolerationOperator",
    "v1.PatchType",
    "v1.ScopeType",
];

/// Adds the values of a Go type to the schema of a string, and what they mean to its description, if it has one: items of
/// lists and maps have none. Of types that are no enumerations it says nothing.
pub(super) fn tell(go_type: &str, schema: &mut Map<String, Value>) {
    let Some(listed) = descriptions::of_values(go_type) else {
        return;
    };
    let mut values = Vec::new();
    let mut text = String::from("\n\nPossible enum values:");
    if AFTER_A_BLANK_LINE.contains(&go_type) {
        text.insert(0, '\n');
    }
    let lines = listed.lines().filter_map(|line| line.strip_prefix('"'));
    for (value, meaning) in lines.filter_map(|line| line.split_once('"')) {
        values.push(Value::from(value));
        text.extend(["\n - `\"", value, "\"`", meaning]);
    }
    schema.insert("enum".to_owned(), values.into());
    if let Some(Value::String(description)) = schema.get_mut("description") {
        description.push_str(&text);
    }
}
