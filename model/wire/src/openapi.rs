//! OpenAPI documents of what a registry serves, versions 2 and 3.
//!
//! Paths derive from the kind table, components from its schemas, descriptions from a table that is made at build time.
//! Building a document takes a few milliseconds; who serves them keeps them.
//!
//! What upstream says and this does not: the enumerations of string fields, and `x-kubernetes-list-type` is said of
//! every list, where upstream leaves `atomic` out of some.

use std::collections::BTreeSet;

use kinds::Registry;
use serde_json::{Map, Value, json};

mod components;
pub(crate) mod descriptions;
mod operations;
mod parameters;
mod protobuf;
mod v2;
mod v3;

use operations::Path;

pub use protobuf::v2_protobuf;

/// The document version that a component is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavor {
    V2,
    V3,
}

impl Flavor {
    fn reference(self, name: &str) -> String {
        match self {
            Self::V2 => format!("#/definitions/{name}"),
            Self::V3 => format!("#/components/schemas/{name}"),
        }
    }
}

/// Version of Kubernetes that the documents name.
const VERSION: &str = "v1.36.0";

/// What `/openapi/v3` lists, such as `api/v1`, `apis/apps/v1` and `version`.
pub fn v3_names(registry: &Registry) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["api", "apis", "version"].map(str::to_owned).into();
    for row in registry.rows() {
        names.insert(operations::root(&row.group, &row.version));
        if !row.group.is_empty() {
            names.insert(format!("apis/{}", row.group));
        }
    }
    names
}

/// The document that `/openapi/v3/NAME` serves; `None` when nothing of that name is served.
pub fn v3(registry: &Registry, name: &str) -> Option<Value> {
    if !v3_names(registry).contains(name) {
        return None;
    }
    let paths = operations::below(registry, name);
    let mut schemas = components::closure(registry, Flavor::V3, &roots(&paths));
    let items = paths
        .iter()
        .map(|path| (path.template.clone(), v3::path(path)));
    let paths: Map<String, Value> = items.collect();
    let mut components = json!({
        "securitySchemes": {"BearerToken": {
            "type": "apiKey",
            "description": "Bearer Token authentication",
            "name": "authorization",
            "in": "header",
        }},
    });
    if let Some(components) = components.as_object_mut()
        && !schemas.is_empty()
    {
        components.insert(
            "schemas".into(),
            Value::Object(std::mem::take(&mut schemas)),
        );
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": components,
    }))
}

/// The document that `/openapi/v2` serves: everything at once.
pub fn v2(registry: &Registry) -> Value {
    let paths = operations::all(registry);
    let definitions = components::closure(registry, Flavor::V2, &roots(&paths));
    let items = paths
        .iter()
        .map(|path| (path.template.clone(), v2::path(path)));
    let paths: Map<String, Value> = items.collect();
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": {
            "description": "Bearer Token authentication",
            "in": "header",
            "name": "authorization",
            "type": "apiKey",
        }},
        "security": [{"BearerToken": []}],
    })
}

/// The components that the operations name.
fn roots(paths: &[Path]) -> BTreeSet<String> {
    let operations = paths.iter().flat_map(|path| &path.operations);
    operations.flat_map(operations::Operation::names).collect()
}

#[cfg(test)]
mod tests;
