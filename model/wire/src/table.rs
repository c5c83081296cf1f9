//! Tables: what `kubectl get` prints.

use kinds::Column;
use serde_json::{Value, json};

use crate::list::Head;
use crate::partial;

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

/// A Table up to its first row; `columns` is `None` in all but the first event of a watch.
pub fn open(head: &Head, version: &str, columns: Option<&[Column]>) -> Vec<u8> {
    let definitions = columns.map_or(Value::Null, |columns| {
        columns.iter().map(definition).collect()
    });
    format!(
        r#"{{"kind":"Table","apiVersion":"meta.k8s.io/{version}","metadata":{},"columnDefinitions":{definitions},"rows":["#,
        head.metadata()
    )
    .into_bytes()
}

/// Writes one row with what is wanted of the object's bytes.
pub fn write_row(
    out: &mut Vec<u8>,
    cells: &[Value],
    object: &[u8],
    include: IncludeObject,
    version: &str,
) {
    out.extend_from_slice(br#"{"cells":["#);
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        crate::encode::write(out, cell);
    }
    out.extend_from_slice(br#"],"object":"#);
    match include {
        IncludeObject::Metadata => partial::write(out, object, version),
        IncludeObject::Object => out.extend_from_slice(object),
        IncludeObject::None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

fn definition(column: &Column) -> Value {
    json!({"name": column.name, "type": column.column_type, "format": column.format,
        "description": column.description, "priority": column.priority})
}
