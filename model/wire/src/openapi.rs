//! OpenAPI documents of what a registry serves, versions 2 and 3.
//!
//! Paths derive from the kind table, components from its schemas, descriptions from a table that is made at build time.
//! Building a document takes a few milliseconds; who serves them keeps them. A document is put together from the text of
//! its parts, for its tree takes ten times the room of its text.
//!
//! What upstream says otherwise: `x-kubernetes-list-type` is said of every list here, where it leaves `atomic` out of some.

use std::collections::{BTreeMap, BTreeSet};

use kinds::Registry;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

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

/// Version of Kubernetes that the documents name, as a stock server's do.
const VERSION: &str = "1.36";

/// What `/openapi/v3` lists, such as `api/v1`, `apis/apps/v1` and `version`.
pub fn v3_names(registry: &Registry) -> BTreeSet<String> {
    let fixed = [
        "api",
        "apis",
        "version",
        operations::ISSUER,
        operations::KEYS,
    ];
    let mut names: BTreeSet<String> = fixed.map(str::to_owned).into();
    for row in registry.rows() {
        names.insert(operations::root(&row.group, &row.version));
        if !row.group.is_empty() {
            names.insert(format!("apis/{}", row.group));
        }
    }
    names
}

/// Parts of a document by name, as their JSON.
type Parts = BTreeMap<String, Box<RawValue>>;

#[derive(Serialize)]
struct V2 {
    definitions: Parts,
    info: Value,
    paths: Parts,
    security: Value,
    #[serde(rename = "securityDefinitions")]
    security_definitions: Value,
    swagger: &'static str,
}

#[derive(Serialize)]
struct V3 {
    components: Components,
    info: Value,
    openapi: &'static str,
    paths: Parts,
}

#[derive(Serialize)]
struct Components {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    schemas: Parts,
    #[serde(rename = "securitySchemes")]
    security_schemes: Value,
}

/// The document that `/openapi/v3/NAME` serves, as JSON; `None` when nothing of that name is served.
pub fn v3(registry: &Registry, name: &str) -> Option<Vec<u8>> {
    if !v3_names(registry).contains(name) {
        return None;
    }
    let paths = operations::below(registry, name);
    let document = V3 {
        components: Components {
            schemas: components::closure(registry, Flavor::V3, name, &roots(&paths)),
            security_schemes: security(),
        },
        info: info(),
        openapi: "3.0.0",
        paths: texts(&paths, v3::path),
    };
    serde_json::to_vec(&document).ok()
}

/// The document that `/openapi/v2` serves, as JSON: everything at once.
pub fn v2(registry: &Registry) -> Vec<u8> {
    let paths = operations::all(registry);
    let document = V2 {
        definitions: components::closure(registry, Flavor::V2, "", &roots(&paths)),
        info: info(),
        paths: texts(&paths, v2::path),
        security: json!([{"BearerToken": []}]),
        security_definitions: security(),
        swagger: "2.0",
    };
    // Texts and maps with keys of text are always written.
    serde_json::to_vec(&document).unwrap_or_default()
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": VERSION})
}

fn security() -> Value {
    json!({"BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    }})
}

/// The items of paths, as a version spells them.
fn texts(paths: &[Path], item: fn(&Path) -> Value) -> Parts {
    let text = |path: &Path| Some((path.template.clone(), to_raw_value(&item(path)).ok()?));
    paths.iter().filter_map(text).collect()
}

/// The components that the operations name.
fn roots(paths: &[Path]) -> BTreeSet<String> {
    let operations = paths.iter().flat_map(|path| &path.operations);
    operations.flat_map(operations::Operation::names).collect()
}

#[cfg(test)]
mod tests;
