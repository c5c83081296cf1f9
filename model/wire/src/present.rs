//! Objects as a client asked to see them: whole, as their metadata, or as rows of a Table.
//!
//! Everything is made from an object's bytes. Of those only the fields that a row's cells depend on are decoded.

use jiff::Timestamp;
use kinds::{Column, Strategy};
use meta::Object;
use meta::raw::{self, Fields};
use serde_json::Value;

use crate::list::{self, Head};
use crate::media::Shape;
use crate::partial;
use crate::table::{self, IncludeObject};

/// Metadata that no cell shows and that is often larger than the rest.
const NOT_SHOWN: &[&str] = &["managedFields"];

/// How the objects of one kind are shown to one client.
pub struct Presentation {
    shape: Shape,
    include: IncludeObject,
    /// What the cells depend on; `None` is everything.
    printed: Option<Fields>,
}

impl Presentation {
    /// Shows objects of the kind with this strategy.
    pub fn new(shape: Shape, include: IncludeObject, strategy: &dyn Strategy) -> Self {
        let is_table = matches!(shape, Shape::Table(_));
        let printed = strategy.printed_fields();
        Self {
            printed: (is_table && !printed.is_empty()).then(|| Fields::new(printed)),
            shape,
            include,
        }
    }

    /// The form of the objects.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The head of the list as it is shown, from that of the list of whole objects.
    pub fn head(&self, head: &Head) -> Head {
        match &self.shape {
            Shape::Object | Shape::Table(_) => head.clone(),
            Shape::Partial(version) | Shape::PartialList(version) => Head {
                api_version: format!("meta.k8s.io/{version}"),
                kind: "PartialObjectMetadataList".into(),
                ..head.clone()
            },
        }
    }

    /// The list, or the Table, up to its first item. `head` is of the list of whole objects.
    pub fn open_list(&self, head: &Head, columns: &[Column]) -> Vec<u8> {
        match &self.shape {
            Shape::Object | Shape::Partial(_) | Shape::PartialList(_) => {
                list::open(&self.head(head))
            }
            Shape::Table(version) => table::open(head, version, Some(columns)),
        }
    }

    /// Writes an item of a list: the object, its metadata, or its row.
    ///
    /// # Errors
    /// The bytes are no object.
    pub fn write_item(
        &self,
        out: &mut Vec<u8>,
        object: &[u8],
        strategy: &dyn Strategy,
        now: Timestamp,
    ) -> Result<(), serde_json::Error> {
        match &self.shape {
            Shape::Object => out.extend_from_slice(object),
            Shape::Partial(version) | Shape::PartialList(version) => {
                partial::write(out, object, version);
            }
            Shape::Table(version) => {
                let cells = strategy.cells(&self.read(object)?, now);
                table::write_row(out, &cells, object, self.include, version);
            }
        }
        Ok(())
    }

    /// Writes an object that stands alone. A Table of one row has `columns` unless it follows one that had them.
    ///
    /// # Errors
    /// The bytes are no object.
    pub fn write_single(
        &self,
        out: &mut Vec<u8>,
        object: &[u8],
        strategy: &dyn Strategy,
        columns: Option<&[Column]>,
        now: Timestamp,
    ) -> Result<(), serde_json::Error> {
        let Shape::Table(version) = &self.shape else {
            return self.write_item(out, object, strategy, now);
        };
        let revision = raw::text_at(object, &["metadata", "resourceVersion"]);
        let head = Head {
            revision: revision
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            ..Head::default()
        };
        out.extend_from_slice(&table::open(&head, version, columns));
        self.write_item(out, object, strategy, now)?;
        out.extend_from_slice(b"]}");
        Ok(())
    }

    /// What the cells depend on.
    fn read(&self, object: &[u8]) -> Result<Object, serde_json::Error> {
        match self
            .printed
            .as_ref()
            .and_then(|fields| fields.decode(object))
        {
            Some(object) => Ok(object),
            None => serde_json::from_slice::<Value>(&raw::without_metadata(object, NOT_SHOWN)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A ConfigMap as each shape and policy shows it, in a list of two.
    fn shown(shape: Shape, include: IncludeObject) -> Value {
        let kinds = kinds::builtin();
        let row = kinds.kind(&meta::Gvk::new("", "v1", "ConfigMap")).unwrap();
        let strategy = &*row.strategy;
        let presentation = Presentation::new(shape, include, strategy);
        let head = Head {
            api_version: "v1".into(),
            kind: "ConfigMapList".into(),
            revision: 9,
            next: "token".into(),
            remaining: Some(1),
        };
        let mut out = presentation.open_list(&head, &strategy.columns());
        let object = object().to_string();
        for index in 0..2 {
            if index > 0 {
                out.push(b',');
            }
            presentation
                .write_item(&mut out, object.as_bytes(), strategy, Timestamp::UNIX_EPOCH)
                .unwrap();
        }
        out.extend_from_slice(list::CLOSE);
        serde_json::from_slice(&out).unwrap()
    }

    fn object() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1", "b": "2"},
            "metadata": {"name": "\"quoted\"", "resourceVersion": "7", "managedFields": [{"manager": "m"}]}})
    }

    #[test]
    fn lists_are_of_objects_or_of_their_metadata() {
        let list = shown(Shape::Object, IncludeObject::None);
        let metadata =
            json!({"resourceVersion": "9", "continue": "token", "remainingItemCount": 1});
        let wanted = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata,
            "items": [object(), object()]});
        assert_eq!(list, wanted);
        let list = shown(Shape::Partial("v1".into()), IncludeObject::None);
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object()["metadata"]});
        let wanted = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata, "items": [partial, partial]});
        assert_eq!(list, wanted);
    }

    #[test]
    fn rows_carry_what_is_asked_of_their_object() {
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1beta1",
            "metadata": object()["metadata"]});
        for (include, wanted) in [
            (IncludeObject::Metadata, partial),
            (IncludeObject::Object, object()),
            (IncludeObject::None, Value::Null),
        ] {
            let table = shown(Shape::Table("v1beta1".into()), include);
            assert_eq!(table["columnDefinitions"][1]["name"], "Data");
            let row = json!({"cells": ["\"quoted\"", 2, "<unknown>"], "object": wanted});
            assert_eq!(table["rows"], json!([row, row]));
        }
    }

    #[test]
    fn a_table_of_one_row_has_its_objects_version_and_columns_only_at_first() {
        let kinds = kinds::builtin();
        let row = kinds.kind(&meta::Gvk::new("", "v1", "ConfigMap")).unwrap();
        let strategy = &*row.strategy;
        let presentation =
            Presentation::new(Shape::Table("v1".into()), IncludeObject::None, strategy);
        let columns = strategy.columns();
        for columns in [Some(&*columns), None] {
            let (mut out, object) = (Vec::new(), object().to_string());
            presentation
                .write_single(
                    &mut out,
                    object.as_bytes(),
                    strategy,
                    columns,
                    Timestamp::UNIX_EPOCH,
                )
                .unwrap();
            let table: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(table["metadata"]["resourceVersion"], "7");
            assert_eq!(table["columnDefinitions"].is_null(), columns.is_none());
        }
    }
}
