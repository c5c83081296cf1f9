//! Operations as version 3 spells them.

use serde_json::{Map, Value, json};

use super::Flavor;
use super::operations::{Content, Operation, Path};
use super::parameters::{Parameter, Place};
use super::v2::{self, extensions, reason};

/// The path item.
pub(super) fn path(path: &Path) -> Value {
    v2::item(path, parameter, operation)
}

fn parameter(parameter: &Parameter) -> Value {
    let mut out = json!({
        "name": parameter.name,
        "in": parameter.place.as_str(),
        "description": parameter.description,
        "schema": {"type": parameter.ty, "uniqueItems": true},
    });
    if let (Place::Path, Some(out)) = (parameter.place, out.as_object_mut()) {
        out.insert("required".into(), true.into());
    }
    out
}

/// The same schema for every media type.
fn content(media_types: &[&str], schema: &Value) -> Value {
    let entries = media_types.iter();
    let entries = entries.map(|media_type| ((*media_type).to_owned(), json!({ "schema": schema })));
    Value::Object(entries.collect())
}

fn operation(operation: &Operation) -> Value {
    let reference = |name: &str| json!({ "$ref": Flavor::V3.reference(name) });
    let mut responses: Map<String, Value> = operation
        .responses
        .iter()
        .map(|(code, held)| {
            let schema = match held {
                Content::Component(name) => reference(name),
                Content::Text => json!({"type": "string"}),
            };
            let content = content(operation.produces, &schema);
            let response = json!({"description": reason(*code), "content": content});
            (code.to_string(), response)
        })
        .collect();
    responses.insert("401".into(), json!({"description": "Unauthorized"}));
    let mut out = json!({
        "description": operation.description,
        "tags": [operation.tag],
        "operationId": operation.id,
        "responses": responses,
    });
    let Some(map) = out.as_object_mut() else {
        return out;
    };
    if !operation.parameters.is_empty() {
        let parameters = operation.parameters.iter().map(parameter);
        map.insert("parameters".into(), parameters.collect());
    }
    if let Some((component, is_required)) = &operation.body {
        let mut body = json!({"content": content(operation.consumes, &reference(component))});
        if let (true, Some(body)) = (*is_required, body.as_object_mut()) {
            body.insert("required".into(), true.into());
        }
        map.insert("requestBody".into(), body);
    }
    map.extend(extensions(operation));
    out
}
