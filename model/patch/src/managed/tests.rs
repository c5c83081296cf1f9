//! Ownership against what upstream recorded, and the rules of apply one by one.

use kinds::schema::builtin;
use serde_json::json;

use super::*;

mod applying;
mod recorded;
mod updating;

fn manager<'a>(name: &'a str, api_version: &'a str, second: i64) -> Manager<'a> {
    Manager {
        name,
        api_version,
        subresource: "",
        time: Timestamp::from_second(1_700_000_000 + second).unwrap(),
    }
}

fn status() -> [Path; 1] {
    [Path::new("status")]
}

fn deployment() -> Schema {
    builtin("io.k8s.api.apps.v1.Deployment").unwrap()
}

fn config_map() -> Schema {
    builtin("io.k8s.api.core.v1.ConfigMap").unwrap()
}

/// The fields of one manager's entry; `null` when it has none.
fn fields(object: &Value, name: &str) -> Value {
    let mut entries = entries_of(object).iter();
    let entry = entries.find(|entry| entry["manager"] == name);
    entry.map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn data(entries: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "namespace": "default"}, "data": entries})
}
