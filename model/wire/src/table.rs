//! Tables: what `kubectl get` prints.

use kinds::{Cell, Column};
use serde_json::{Value, json};

use crate::list::Head;
use crate::openapi::descriptions;
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

/// What a row carries, cut out of its object's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// Its metadata, if it has any.
    Metadata(Option<&'a [u8]>),
    /// All of it.
    Object(&'a [u8]),
    /// Nothing.
    Nothing,
}

/// Writes one row.
pub fn write_row(out: &mut Vec<u8>, cells: &[Cell<'_>], carried: Carried<'_>, version: &str) {
    out.extend_from_slice(br#"{"cells":["#);
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match cell {
            Cell::Text(text) => crate::encode::write(out, text.as_ref()),
            Cell::Value(value) => crate::encode::write(out, value),
        }
    }
    out.extend_from_slice(br#"],"object":"#);
    match carried {
        Carried::Metadata(metadata) => partial::write(out, metadata, version),
        Carried::Object(object) => out.extend_from_slice(object),
        Carried::Nothing => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

fn definition(column: &Column) -> Value {
    json!({"name": column.name, "type": column.column_type, "format": column.format,
        "description": describe(&column.description), "priority": column.priority})
}

/// A column's description; one such as `@io.k8s.api.core.v1.PodStatus.podIP` is that field's documentation.
fn describe(description: &str) -> &str {
    let reference = description.strip_prefix('@');
    let field = reference.and_then(|reference| reference.rsplit_once('.'));
    field
        .and_then(|(owner, field)| descriptions::of_field(owner, field))
        .unwrap_or(description)
}

#[cfg(test)]
mod tests {
    use meta::Gvr;

    use super::*;

    #[test]
    fn columns_are_described_as_a_stock_server_describes_them() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/data/recordings/table-columns.json"
        );
        let recorded = std::fs::read_to_string(path).unwrap();
        let recorded: Vec<Value> = serde_json::from_str(&recorded).unwrap();
        assert!(!recorded.is_empty());
        let mut wrong = Vec::new();
        let registry = kinds::builtin();
        for table in recorded {
            let text = |field: &str| table[field].as_str().unwrap();
            let gvr = Gvr::new(text("group"), text("version"), text("resource"));
            let columns = registry.resource(&gvr).unwrap().strategy.columns();
            let ours: Vec<Value> = columns.iter().map(definition).collect();
            let theirs = table["columns"].as_array().unwrap();
            if ours != *theirs {
                wrong.push(gvr);
            }
        }
        assert_eq!(wrong, []);
    }
}
