//! Operations as version 2 spells them.

use serde_json::{Map, Value, json};

use super::Flavor;
use super::operations::{Content, Operation, Path};
use super::parameters::{Parameter, Place};

/// The path item.
pub(super) fn path(path: &Path) -> Value {
    item(path, parameter, operation)
}

/// The path item of either version, which spell parameters and operations differently.
pub(super) fn item(
    path: &Path,
    parameter: fn(&Parameter) -> Value,
    operation: fn(&Operation) -> Value,
) -> Value {
    let mut item = Map::new();
    if !path.parameters.is_empty() {
        let parameters = path.parameters.iter().map(parameter);
        item.insert("parameters".into(), parameters.collect());
    }
    for each in &path.operations {
        item.insert(each.method.into(), operation(each));
    }
    Value::Object(item)
}

fn parameter(parameter: &Parameter) -> Value {
    let mut out = json!({
        "name": parameter.name,
        "in": parameter.place.as_str(),
        "description": parameter.description,
        "type": parameter.ty,
        "uniqueItems": true,
    });
    if let (Place::Path, Some(out)) = (parameter.place, out.as_object_mut()) {
        out.insert("required".into(), true.into());
    }
    out
}

fn operation(operation: &Operation) -> Value {
    let reference = |name: &str| json!({ "$ref": Flavor::V2.reference(name) });
    let mut parameters: Vec<Value> = operation.parameters.iter().map(parameter).collect();
    if let Some((component, is_required)) = &operation.body {
        let mut body = json!({"name": "body", "in": "body", "schema": reference(component)});
        if let (true, Some(body)) = (*is_required, body.as_object_mut()) {
            body.insert("required".into(), true.into());
        }
        parameters.insert(0, body);
    }
    let mut responses: Map<String, Value> = operation
        .responses
        .iter()
        .map(|(code, content)| {
            let schema = match content {
                Content::Component(name) => reference(name),
                Content::Text => json!({"type": "string"}),
            };
            let response = json!({"description": reason(*code), "schema": schema});
            (code.to_string(), response)
        })
        .collect();
    responses.insert("401".into(), json!({"description": "Unauthorized"}));
    let mut out = json!({
        "description": operation.description,
        "produces": operation.produces,
        "schemes": ["https"],
        "tags": [operation.tag],
        "operationId": operation.id,
        "responses": responses,
    });
    if let Some(out) = out.as_object_mut() {
        if !operation.consumes.is_empty() {
            out.insert("consumes".into(), json!(operation.consumes));
        }
        if !parameters.is_empty() {
            out.insert("parameters".into(), parameters.into());
        }
        out.extend(extensions(operation));
    }
    out
}

/// What a code means, in a word.
pub(super) fn reason(code: u16) -> &'static str {
    match code {
        201 => "Created",
        202 => "Accepted",
        _ => "OK",
    }
}

/// What Kubernetes adds to an operation.
pub(super) fn extensions(operation: &Operation) -> Map<String, Value> {
    let mut out = Map::new();
    if let Some(action) = operation.action {
        out.insert("x-kubernetes-action".into(), action.into());
    }
    if let Some(gvk) = &operation.gvk {
        let gvk = json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
        out.insert("x-kubernetes-group-version-kind".into(), gvk);
    }
    out
}
