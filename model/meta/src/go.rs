//! Go's words for JSON, which stand in upstream's refusals.

use serde_json::Value;

/// What `encoding/json` calls the kind of a value: `cannot unmarshal object into ...`.
pub fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
