//! Canonical JSON of an object, with the place where its resource version goes.

use serde::Serialize;
use serde_json::{Map, Value};

/// An object's bytes with a hole inside the quotes of `metadata.resourceVersion`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holed {
    /// The bytes, without the digits.
    pub bytes: Vec<u8>,
    /// Where the digits go.
    pub revision_at: usize,
}

/// Room for an object of usual size, such as a pod, so that most are encoded into one allocation.
const BYTES_USUAL: usize = 4096;

/// Encodes an object. Whatever resource version it has is left out; `metadata` is made when missing.
pub fn encode(object: &Value) -> Holed {
    let none = Map::new();
    let object = object.as_object().unwrap_or(&none);
    let mut out = Out {
        bytes: Vec::with_capacity(BYTES_USUAL),
        revision_at: 0,
    };
    let mut is_written = false;
    out.bytes.push(b'{');
    for (key, value) in object {
        if !is_written && key.as_str() >= "metadata" {
            out.metadata(
                object
                    .get("metadata")
                    .and_then(Value::as_object)
                    .unwrap_or(&none),
            );
            is_written = true;
        }
        if key != "metadata" {
            out.entry(key, value);
        }
    }
    if !is_written {
        out.metadata(
            object
                .get("metadata")
                .and_then(Value::as_object)
                .unwrap_or(&none),
        );
    }
    out.bytes.push(b'}');
    Holed {
        bytes: out.bytes,
        revision_at: out.revision_at,
    }
}

struct Out {
    bytes: Vec<u8>,
    revision_at: usize,
}

impl Out {
    fn key(&mut self, key: &str) {
        if !self.bytes.ends_with(b"{") {
            self.bytes.push(b',');
        }
        put(&mut self.bytes, key);
        self.bytes.push(b':');
    }

    fn entry(&mut self, key: &str, value: &Value) {
        self.key(key);
        write(&mut self.bytes, value);
    }

    fn metadata(&mut self, metadata: &Map<String, Value>) {
        const VERSION: &str = "resourceVersion";
        self.key("metadata");
        self.bytes.push(b'{');
        let mut is_written = false;
        for (key, value) in metadata {
            if !is_written && key.as_str() >= VERSION {
                self.hole(VERSION);
                is_written = true;
            }
            if key != VERSION {
                self.entry(key, value);
            }
        }
        if !is_written {
            self.hole(VERSION);
        }
        self.bytes.push(b'}');
    }

    fn hole(&mut self, key: &str) {
        self.key(key);
        self.bytes.push(b'"');
        self.revision_at = self.bytes.len();
        self.bytes.push(b'"');
    }
}

/// A value's canonical bytes.
pub fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, value);
    out
}

/// Writes a value's canonical bytes.
pub fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    put(out, value);
}

fn put(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // A Vec takes every byte, and the keys of a Value are strings: there is nothing that could fail.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "a value was not written: {written:?}");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(object: &Value) -> Value {
        let mut holed = encode(object);
        holed
            .bytes
            .splice(holed.revision_at..holed.revision_at, b"42".iter().copied());
        serde_json::from_slice(&holed.bytes).unwrap()
    }

    #[test]
    fn the_hole_is_the_resource_version_wherever_it_sorts() {
        for metadata in [
            json!({}),
            json!({"a": "{", "z": 1}),
            json!({"uid": "u", "resourceVersion": "7"}),
        ] {
            for (first, last) in [("apiVersion", "spec"), ("a", "b"), ("x", "z")] {
                let object = json!({first: {}, "metadata": metadata, last: [1]});
                let mut wanted = object.clone();
                wanted["metadata"]["resourceVersion"] = "42".into();
                assert_eq!(filled(&object), wanted);
            }
        }
        assert_eq!(
            filled(&json!({})),
            json!({"metadata": {"resourceVersion": "42"}})
        );
    }
}
