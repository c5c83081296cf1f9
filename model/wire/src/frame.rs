//! Frames of a watch: newline-delimited JSON.

use serde_json::{Map, Value, json};

/// What stands behind an event's object.
pub const CLOSE: &[u8] = b"}\n";

/// One event up to its object. `event_type` is `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
pub fn open(event_type: &str, object_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(object_bytes + 40);
    bytes.extend_from_slice(br#"{"type":""#);
    bytes.extend_from_slice(event_type.as_bytes());
    bytes.extend_from_slice(br#"","object":"#);
    bytes
}

/// One event around an object's bytes, with its newline.
pub fn frame(event_type: &str, object: &[u8]) -> Vec<u8> {
    let mut bytes = open(event_type, object.len());
    bytes.extend_from_slice(object);
    bytes.extend_from_slice(CLOSE);
    bytes
}

/// The object of a bookmark; `ends_initial_events` marks the one that closes a WatchList.
pub fn bookmark(api_version: &str, kind: &str, revision: u64, ends_initial_events: bool) -> Value {
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), revision.to_string().into());
    metadata.insert("creationTimestamp".into(), Value::Null);
    if ends_initial_events {
        metadata.insert(
            "annotations".into(),
            json!({"k8s.io/initial-events-end": "true"}),
        );
    }
    json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
}
