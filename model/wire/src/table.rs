//! Tables: what `kubectl get` prints.

use kinds::Column;
use meta::Object;
use serde_json::{Value, json};

use crate::list::Head;
use crate::partial::partial;

/// What each row carries of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeObject {
    /// Its metadata; the default.
    Metadata,
    /// All of it.
    Object,
    /// Nothing.
    None,
}

impl IncludeObject {
    /// Reads `?includeObject=`; `None` for an unknown policy.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Metadata" => Some(Self::Metadata),
            "Object" => Some(Self::Object),
            "None" => Some(Self::None),
            _ => None,
        }
    }
}

/// A table of rows; `columns` is `None` in all but the first event of a watch.
pub fn table(head: &Head, version: &str, columns: Option<&[Column]>, rows: &[Value]) -> Value {
    let definitions: Vec<Value> = columns.unwrap_or_default().iter().map(definition).collect();
    let definitions = if columns.is_some() {
        definitions.into()
    } else {
        Value::Null
    };
    json!({"kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": head.metadata(),
        "columnDefinitions": definitions, "rows": rows})
}

/// One row.
pub fn row(cells: &[Value], object: &Object, include: IncludeObject, version: &str) -> Value {
    match include {
        IncludeObject::Metadata => json!({"cells": cells, "object": partial(object, version)}),
        IncludeObject::Object => json!({"cells": cells, "object": object}),
        IncludeObject::None => json!({"cells": cells, "object": null}),
    }
}

fn definition(column: &Column) -> Value {
    json!({"name": column.name, "type": column.column_type, "format": column.format,
        "description": column.description, "priority": column.priority})
}
