//! What `kubectl get` shows: the columns of each kind and how a cell is worked out.
//!
//! Source: pkg/printers/internalversion/printers.go. A description that starts with `@` names the type and field whose
//! documentation it is, as in `@io.k8s.api.core.v1.PodStatus.podIP`; `wire::table` puts it in.

pub(crate) mod apps;
pub(crate) mod core;
pub(crate) mod other;
pub(crate) mod pod;
pub(crate) mod policy;
pub(crate) mod scaling;
pub(crate) mod service;
pub(crate) mod storage;
mod text;

pub(crate) use text::{age, containers, human, join, labels, selector, selector_text, since};

use jiff::Timestamp;
use meta::{Object, ObjectExt as _};
use serde_json::Value;

use crate::kind::{Cell, Column};

/// A column as it is written in a kind's table: name, type, description, priority.
#[derive(Clone, Copy)]
pub(crate) struct Col(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) i32,
);

/// The table of one kind.
pub(crate) struct Printer {
    /// Columns in order.
    pub(crate) columns: &'static [Col],
    /// The fields that the cells depend on, as [`meta::raw::Fields`] takes them; empty for all of them.
    pub(crate) reads: &'static [&'static str],
    /// The cells, one for each column.
    pub(crate) cells: fn(&Object, Timestamp) -> Vec<Cell<'_>>,
}

/// The fields of a table that is not asked for often enough to name them.
pub(crate) const EVERYTHING: &[&str] = &[];

/// The primary column.
pub(crate) const NAME: Col = Col(
    "Name",
    "string",
    "@io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta.name",
    0,
);
/// How long ago the object was made.
pub(crate) const AGE: Col = Col(
    "Age",
    "string",
    "@io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta.creationTimestamp",
    0,
);
/// Names of the containers of a template.
pub(crate) const CONTAINERS: Col = Col(
    "Containers",
    "string",
    "Names of each container in the template.",
    1,
);
/// Images of the containers of a template.
pub(crate) const IMAGES: Col = Col(
    "Images",
    "string",
    "Images referenced by each container in the template.",
    1,
);

/// Name and age.
pub(crate) static NAME_AND_AGE: Printer = Printer {
    columns: &[NAME, AGE],
    reads: &["metadata.name", "metadata.creationTimestamp"],
    cells: |object, now| vec![object.name().into(), age(object, now)],
};
/// Name and creation time: the columns of kinds for which upstream has no printer.
pub(crate) static CREATED_AT: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Created At",
            "date",
            "@io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta.creationTimestamp",
            0,
        ),
    ],
    reads: &["metadata.name", "metadata.creationTimestamp"],
    cells: crate::kind::default_cells,
};

impl Printer {
    /// The columns as the API shows them.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let columns = self.columns.iter();
        columns
            .map(|Col(name, column_type, description, priority)| Column {
                name: (*name).into(),
                column_type: (*column_type).into(),
                // Upstream marks one other column as a name.
                format: if matches!(*name, "Name" | "Attacher") {
                    "name".into()
                } else {
                    "".into()
                },
                description: (*description).into(),
                priority: *priority,
            })
            .collect()
    }
}

/// The text at a path, or what stands for nothing.
pub(crate) fn text_or<'a>(object: &'a Value, path: &[&str], nothing: &'a str) -> Cell<'a> {
    match object.str_at(path) {
        Some(text) if !text.is_empty() => text.into(),
        _ => nothing.into(),
    }
}

/// The number at a path, or zero.
pub(crate) fn number(object: &Value, path: &[&str]) -> Cell<'static> {
    object.int_at(path).unwrap_or_default().into()
}

/// The flag at a path.
pub(crate) fn flag(object: &Value, path: &[&str], unset: bool) -> Cell<'static> {
    object.bool_at(path).unwrap_or(unset).into()
}

/// How many items a list has.
pub(crate) fn count(object: &Value, path: &[&str]) -> Cell<'static> {
    object.list_at(path).len().into()
}

/// Implements the two printing methods of a strategy.
macro_rules! print_with {
    ($printer:expr) => {
        fn columns(&self) -> Vec<crate::kind::Column> {
            $printer.columns()
        }
        fn printed_fields(&self) -> &'static [&'static str] {
            $printer.reads
        }
        fn cells<'a>(
            &self,
            object: &'a meta::Object,
            now: jiff::Timestamp,
        ) -> Vec<crate::kind::Cell<'a>> {
            ($printer.cells)(object, now)
        }
    };
}
pub(crate) use print_with;

#[cfg(test)]
mod tests;
