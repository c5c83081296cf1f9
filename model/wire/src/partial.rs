//! PartialObjectMetadata: an object's metadata alone.

use meta::Object;
use serde_json::{Value, json};

/// The metadata of an object, as `version` of `meta.k8s.io`.
pub fn partial(object: &Object, version: &str) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| json!({}));
    json!({"kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": metadata})
}
