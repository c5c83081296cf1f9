//! Rows by name: the built-in ones, and those that CustomResourceDefinitions add at run time.

use std::collections::BTreeMap;
use std::sync::Arc;

use meta::{Gvk, Gvr};

use crate::kind::Kind;

/// An immutable set of rows; adding one makes a new registry.
#[derive(Clone, Default)]
pub struct Registry {
    by_resource: BTreeMap<Gvr, Arc<Kind>>,
}

impl Registry {
    /// A registry of these rows. A later row replaces an earlier one of the same group, version and plural.
    pub fn new(rows: impl IntoIterator<Item = Kind>) -> Self {
        Self {
            by_resource: rows
                .into_iter()
                .map(|row| (row.gvr(), Arc::new(row)))
                .collect(),
        }
    }
    /// The same rows and these.
    #[must_use]
    pub fn with(&self, rows: impl IntoIterator<Item = Kind>) -> Self {
        let mut by_resource = self.by_resource.clone();
        by_resource.extend(rows.into_iter().map(|row| (row.gvr(), Arc::new(row))));
        Self { by_resource }
    }
    /// The row of a resource.
    pub fn resource(&self, gvr: &Gvr) -> Option<&Arc<Kind>> {
        self.by_resource.get(gvr)
    }
    /// The row of a kind.
    pub fn kind(&self, gvk: &Gvk) -> Option<&Arc<Kind>> {
        self.rows().find(|row| {
            row.group == gvk.group && row.version == gvk.version && row.kind == gvk.kind
        })
    }
    /// All rows, sorted by group, version and plural.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_resource.values()
    }
}
