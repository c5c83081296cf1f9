//! Frames of a watch: newline-delimited JSON.

use serde_json::{Map, Value, json};

/// What stands behind an event's object.
pub const CLOSE: &[u8] = b"}\n";

/// One event up to its object. `event_type` is `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
pub fn open(event_type: &str, object_bytes: usize) -> Vec<u8> {
    const PARTS: [&[u8]; 2] = [br#"{"type":""#, br#"","object":"#];
    let [before, behind] = PARTS;
    // Exactly as much as an event around these bytes takes: what is as full as it is large need not be told apart later.
    let around = before.len() + event_type.len() + behind.len() + CLOSE.len();
    let mut bytes = Vec::with_capacity(object_bytes + around);
    bytes.extend_from_slice(before);
    bytes.extend_from_slice(event_type.as_bytes());
    bytes.extend_from_slice(behind);
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
