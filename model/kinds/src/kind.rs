//! A row of the kind table.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{GroupResource, Gvk, Gvr, Object, ObjectExt};
use serde_json::Value;

use crate::schema::Schema;
use crate::strategy::Strategy;

/// Text that is static in built-in rows and owned in rows made from a CustomResourceDefinition.
pub type Text = Cow<'static, str>;

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// How soon a write of this kind must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before it is acknowledged.
    Synced,
    /// Soon after: leases and events, which are most of all writes and are made anew after a loss.
    Relaxed,
}

/// One version of one kind, as it is served.
#[derive(Clone)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: Text,
    /// Served version.
    pub version: Text,
    /// Kind name.
    pub kind: Text,
    /// Kind name of the list; `KindList` unless a CRD says otherwise.
    pub list_kind: Text,
    /// Plural resource name.
    pub plural: Text,
    /// Singular resource name.
    pub singular: Text,
    /// Short names for `kubectl`.
    pub short_names: Vec<Text>,
    /// Categories, such as `all`.
    pub categories: Vec<Text>,
    /// Namespaced or not.
    pub scope: Scope,
    /// Verbs as discovery lists them, in its order. Virtual kinds (reviews) have `create` alone.
    pub verbs: Vec<Text>,
    /// Subresources in discovery's order.
    pub subresources: Vec<Subresource>,
    /// The version that is written to the store; rows of one resource share `plural.group` there.
    pub storage_version: Text,
    /// The resource under which objects are stored, when it is another one's (`events.events.k8s.io` -> `events`).
    pub stored_as: Option<GroupResource>,
    /// How soon a write must be on disk.
    pub durability: Durability,
    /// What every answer warns of, when the kind is on its way out.
    pub deprecation: Option<Text>,
    /// The type of an object of this kind.
    pub schema: Schema,
    /// The kind's own rules.
    pub strategy: Arc<dyn Strategy>,
}

impl Kind {
    /// Group, version and kind.
    pub fn gvk(&self) -> Gvk {
        Gvk::new(&self.group, &self.version, &self.kind)
    }
    /// Group, version and plural.
    pub fn gvr(&self) -> Gvr {
        Gvr::new(&self.group, &self.version, &self.plural)
    }
    /// Group and plural, as errors name it.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.plural)
    }
    /// The Go package of upstream's own form of the kind, as some refusals name it.
    pub fn go_package(&self) -> &str {
        let name = self.schema.as_struct().map_or("", |ty| ty.name.as_str());
        let mut parts = name.rsplit('.').skip(2);
        match parts.next() {
            // Upstream keeps both sorts of Events as one.
            Some("events") => "core",
            Some(package) => package,
            None => "unstructured",
        }
    }
    /// Group and plural under which objects are stored.
    pub fn storage_resource(&self) -> GroupResource {
        self.stored_as
            .clone()
            .unwrap_or_else(|| self.group_resource())
    }
    /// `apiVersion` of the row.
    pub fn api_version(&self) -> String {
        meta::id::api_version(&self.group, &self.version)
    }
    /// Whether objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
    /// Fills in defaults: the kind's own, then those of every struct below it. Runs on everything that is read from
    /// a user, after decoding.
    pub fn apply_defaults(&self, object: &mut Object) {
        self.strategy.default(object);
        crate::defaults::apply(object, &self.schema);
    }
    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources
            .iter()
            .find(|subresource| subresource.name == name)
    }
}

/// A path below an object, such as `status` or `scale`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Last path segment.
    pub name: Text,
    /// The kind its body has, when it is not the parent's: `autoscaling/v1 Scale`, `policy/v1 Eviction`.
    pub body: Option<Gvk>,
    /// Verbs in discovery's order.
    pub verbs: Vec<Text>,
}

/// What stands in one cell of a Table's row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Text, most often the object's own.
    Text(Cow<'a, str>),
    /// A number, a flag, or null.
    Value(Value),
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Text(text) => text.into(),
            Cell::Value(value) => value,
        }
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a Value> for Cell<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => text.as_str().into(),
            other => Self::Value(other.clone()),
        }
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Value(number.into())
    }
}

impl From<usize> for Cell<'_> {
    fn from(number: usize) -> Self {
        Self::Value(number.into())
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Self::Value(flag.into())
    }
}

/// A column of the Table that `kubectl get` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub name: Text,
    /// `string`, `integer`, `date`, ...
    pub column_type: Text,
    /// OpenAPI format; `name` marks the primary column.
    pub format: Text,
    /// What the column shows.
    pub description: Text,
    /// 0 is shown always, 1 with `-o wide`.
    pub priority: i32,
}

/// Upstream's columns for kinds that have none of their own.
pub fn default_columns() -> Vec<Column> {
    let column = |name: &'static str,
                  column_type: &'static str,
                  format: &'static str,
                  description: &'static str| Column {
        name: name.into(),
        column_type: column_type.into(),
        format: format.into(),
        description: description.into(),
        priority: 0,
    };
    vec![
        column(
            "Name",
            "string",
            "name",
            "Name must be unique within a namespace.",
        ),
        column(
            "Created At",
            "date",
            "",
            "CreationTimestamp is a timestamp of the server time when this object was created.",
        ),
    ]
}

/// The cells for [`default_columns`].
pub fn default_cells(object: &Object, _now: Timestamp) -> Vec<Cell<'_>> {
    let created = object.at(&["metadata", "creationTimestamp"]);
    vec![object.name().into(), created.unwrap_or(&Value::Null).into()]
}

/// The text, number or boolean at a dotted path, as field selectors compare it; empty when unset.
pub fn value_at(object: &Object, field: &str) -> String {
    let path: Vec<&str> = field.split('.').collect();
    match object.at(&path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}
