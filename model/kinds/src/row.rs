//! Builds the rows of built-in kinds: the notation in which the kind table is written.

use std::sync::Arc;

use meta::{GroupResource, Gvk};

use crate::kind::{Durability, Kind, Scope, Subresource, Text};
use crate::schema::{self, Schema, Type};
use crate::strategy::Strategy;

/// Verbs of an ordinary stored kind.
const ALL: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// Verbs of `status`, `scale` and their like.
pub(crate) const READ_WRITE: &[&str] = &["get", "patch", "update"];

/// A group version whose rows are being written.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    /// API group.
    pub(crate) name: &'static str,
    /// API version.
    pub(crate) version: &'static str,
    /// OpenAPI prefix of its types.
    pub(crate) types: &'static str,
}

/// A row being written.
pub(crate) struct Row(Kind);

impl Group {
    /// A namespaced kind.
    pub(crate) fn namespaced(
        self,
        kind: &'static str,
        plural: &'static str,
        strategy: impl Strategy + 'static,
    ) -> Row {
        self.row(kind, plural, Scope::Namespaced, strategy)
    }
    /// A cluster-scoped kind.
    pub(crate) fn cluster(
        self,
        kind: &'static str,
        plural: &'static str,
        strategy: impl Strategy + 'static,
    ) -> Row {
        self.row(kind, plural, Scope::Cluster, strategy)
    }

    fn row(
        self,
        kind: &'static str,
        plural: &'static str,
        scope: Scope,
        strategy: impl Strategy + 'static,
    ) -> Row {
        let name = format!("{}.{kind}", self.types);
        let schema = schema::builtin(&name).unwrap_or_else(|| Schema {
            graph: Arc::clone(schema::builtin_graph()),
            ty: Type::Any,
        });
        Row(Kind {
            group: self.name.into(),
            version: self.version.into(),
            kind: kind.into(),
            list_kind: format!("{kind}List").into(),
            plural: plural.into(),
            singular: kind.to_lowercase().into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope,
            verbs: texts(ALL),
            subresources: Vec::new(),
            storage_version: self.version.into(),
            stored_as: None,
            durability: Durability::Synced,
            deprecation: None,
            schema,
            strategy: Arc::new(strategy),
        })
    }
}

impl Row {
    /// The finished row.
    pub(crate) fn build(mut self) -> Kind {
        self.0.subresources.sort_by(|a, b| a.name.cmp(&b.name));
        self.0
    }
    /// Short names.
    pub(crate) fn short(mut self, names: &[&'static str]) -> Self {
        self.0.short_names = texts(names);
        self
    }
    /// A category.
    pub(crate) fn category(mut self, name: &'static str) -> Self {
        self.0.categories.push(name.into());
        self
    }
    /// The category `all`.
    pub(crate) fn in_all(self) -> Self {
        self.category("all")
    }
    /// A kind on its way out. Source: the `APILifecycleDeprecated` methods.
    pub(crate) fn deprecated(mut self, warning: &'static str) -> Self {
        self.0.deprecation = Some(warning.into());
        self
    }
    /// Other verbs than the ordinary ones.
    pub(crate) fn verbs(mut self, verbs: &[&'static str]) -> Self {
        self.0.verbs = texts(verbs);
        self
    }
    /// The `status` subresource.
    pub(crate) fn status(self) -> Self {
        self.sub("status", READ_WRITE)
    }
    /// The `scale` subresource.
    pub(crate) fn scale(self) -> Self {
        self.sub_of("scale", ("autoscaling", "v1", "Scale"), READ_WRITE)
    }
    /// A subresource whose body is the object.
    pub(crate) fn sub(mut self, name: &'static str, verbs: &[&'static str]) -> Self {
        self.0.subresources.push(Subresource {
            name: name.into(),
            body: None,
            verbs: texts(verbs),
        });
        self
    }
    /// A subresource whose body has another kind.
    pub(crate) fn sub_of(
        mut self,
        name: &'static str,
        (group, version, kind): (&str, &str, &str),
        verbs: &[&'static str],
    ) -> Self {
        self.0.subresources.push(Subresource {
            name: name.into(),
            body: Some(Gvk::new(group, version, kind)),
            verbs: texts(verbs),
        });
        self
    }
    /// Writes may be lost in a crash.
    pub(crate) fn relaxed(mut self) -> Self {
        self.0.durability = Durability::Relaxed;
        self
    }
    /// Objects are stored in another version.
    pub(crate) fn stored_in(mut self, version: &'static str) -> Self {
        self.0.storage_version = version.into();
        self
    }
    /// Objects are stored as another resource's.
    pub(crate) fn stored_as(mut self, group: &str, plural: &str) -> Self {
        self.0.stored_as = Some(GroupResource::new(group, plural));
        self
    }
}

fn texts(names: &[&'static str]) -> Vec<Text> {
    names.iter().map(|name| Text::Borrowed(name)).collect()
}
