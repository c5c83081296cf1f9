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
use crate::table::{self, Carried, IncludeObject};

/// Metadata that no cell shows and that is often larger than the rest.
const NOT_SHOWN: &[&str] = &["managedFields"];
const METADATA: &[&str] = &["metadata"];

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

    /// Writes an item of a list: the object, which has its type from the list, its metadata, or its row.
    ///
    /// `read` is null, or what the item before left there.
    ///
    /// # Errors
    /// The bytes are no object.
    pub fn write_item(
        &self,
        out: &mut Vec<u8>,
        object: &[u8],
        strategy: &dyn Strategy,
        now: Timestamp,
        read: &mut Object,
    ) -> Result<(), serde_json::Error> {
        match &self.shape {
            Shape::Object => raw::write_untyped(out, object),
            Shape::Partial(version) | Shape::PartialList(version) => {
                partial::write(out, raw::at(object, METADATA), version);
            }
            Shape::Table(version) => {
                let metadata = self.read(object, read)?;
                let carried = match self.include {
                    IncludeObject::Metadata => Carried::Metadata(metadata),
                    IncludeObject::Object => Carried::Object(object),
                    IncludeObject::None => Carried::Nothing,
                };
                table::write_row(out, &strategy.cells(read, now), carried, version);
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
        let version = match &self.shape {
            Shape::Object => {
                out.extend_from_slice(object);
                return Ok(());
            }
            Shape::Partial(_) | Shape::PartialList(_) => {
                return self.write_item(out, object, strategy, now, &mut Value::Null);
            }
            Shape::Table(version) => version,
        };
        let revision = raw::text_at(object, &["metadata", "resourceVersion"]);
        let head = Head {
            revision: revision
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            ..Head::default()
        };
        out.extend_from_slice(&table::open(&head, version, columns));
        self.write_item(out, object, strategy, now, &mut Value::Null)?;
        out.extend_from_slice(b"]}");
        Ok(())
    }

    /// Reads what the cells depend on, and finds the bytes of the metadata.
    fn read<'a>(
        &self,
        object: &'a [u8],
        into: &mut Object,
    ) -> Result<Option<&'a [u8]>, serde_json::Error> {
        let printed = self.printed.as_ref();
        if let Some(metadata) =
            printed.and_then(|fields| fields.decode_beside(object, "metadata", into))
        {
            return Ok(metadata);
        }
        *into = serde_json::from_slice(&raw::without_metadata(object, NOT_SHOWN))?;
        Ok(raw::at(object, METADATA))
    }
}

#[cfg(test)]
mod tests;
