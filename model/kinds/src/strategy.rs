//! The per-kind hooks of the generic verbs; every one has a default that does nothing.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{FieldError, GroupResource, Object, Path, StatusError, names};
use serde_json::Value;

use crate::kind::{Cell, Column};

/// What a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// POST, or an update or apply of an object that is not there.
    Create,
    /// PUT or PATCH.
    Update,
    /// DELETE.
    Delete,
    /// Streaming verbs: exec, attach, port-forward, proxy.
    Connect,
}

/// Reads the other objects of the cluster, all at one revision. Objects are in their storage version.
pub trait Lookup: Sync {
    /// One object; `resource` is `plural` or `plural.group`, `namespace` is empty for cluster-scoped ones.
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>>;
    /// All objects of a resource, in one namespace or (empty) everywhere, in key order.
    fn list(&self, resource: &str, namespace: &str) -> Vec<Arc<Object>>;
    /// How many [`Self::list`] would give; `None` when nobody knows the resource.
    fn count(&self, resource: &str, namespace: &str) -> Option<usize> {
        Some(self.list(resource, namespace).len())
    }
}

/// The facts a strategy may use.
pub struct Context<'a> {
    /// The time of the request.
    pub now: Timestamp,
    /// What the write is.
    pub operation: Operation,
    /// Subresource written through; `None` for the object itself.
    pub subresource: Option<&'a str>,
    /// Who asks, for rules that depend on it (CertificateSigningRequest copies it).
    pub user: Option<&'a User>,
    /// Other objects.
    pub lookup: &'a dyn Lookup,
    /// Random bits for allocations (node ports, cluster IPs); a fact, so that tests repeat.
    pub random: u64,
    /// From where cluster IPs and node ports are taken.
    pub ranges: &'a Ranges,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// Whether the client gave a new object labels of its own, before defaults.
    pub is_labelled: bool,
}

/// The ranges that Services are given addresses and ports from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// Blocks of cluster IPs with their prefix length, the primary family first; at most one for each family.
    pub service_cidrs: Vec<(std::net::IpAddr, u8)>,
    /// First and last node port.
    pub node_ports: (u16, u16),
}

impl Default for Ranges {
    /// `10.96.0.0/12` (as kubeadm has it) and 30000-32767.
    fn default() -> Self {
        Self {
            service_cidrs: vec![(std::net::IpAddr::from([10, 96, 0, 0]), 12)],
            node_ports: (30_000, 32_767),
        }
    }
}

/// An authenticated user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User name.
    pub name: String,
    /// Unique id; may be empty.
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// Extra attributes.
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// How a delete is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Remove at once.
    Now,
    /// Set the deletion timestamp, leave the object for its agent to remove after so many seconds.
    Graceful {
        /// Grace period in seconds.
        seconds: i64,
    },
}

/// An object that one of another kind tells about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its resource.
    pub resource: GroupResource,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The per-kind hooks of the generic verbs. Objects are canonical when they come in: decoded by schema, unknown
/// fields dropped (see [`crate::schema`]).
pub trait Strategy: Send + Sync {
    /// Fills in what upstream's defaulting fills in for the kind itself, in the row's version. Call
    /// [`crate::Kind::apply_defaults`] instead, which also does the structs below it.
    fn default(&self, _new: &mut Object) {}

    /// Converts from the row's version to the storage version (`apiVersion` is set by the caller).
    fn store_form(&self, _object: &mut Object) {}
    /// Converts from the storage version to the row's version (`apiVersion` is set by the caller).
    fn served_form(&self, _object: &mut Object) {}

    /// Whether `metadata.generation` is kept: 1 at creation, one more whenever `spec` (or what `generation_fields`
    /// names) changes.
    fn has_generation(&self) -> bool {
        true
    }
    /// The generation of a new object; 0 is left out.
    fn first_generation(&self) -> i64 {
        1
    }
    /// Whether a change is one that counts for `metadata.generation`: by default of anything but metadata and status.
    fn is_respecified(&self, new: &Object, old: &Object) -> bool {
        crate::metadata::is_respecified(new, old)
    }
    /// Whether a status given at creation stays, although the row has a `status` subresource.
    fn keeps_status_on_create(&self) -> bool {
        false
    }
    /// Server-owned fields at creation (status is dropped by the caller when the row has a `status` subresource).
    fn prepare_create(&self, _new: &mut Object, _cx: &Context<'_>) {}
    /// Server-owned fields at update (status is kept from the old object by the caller, likewise).
    fn prepare_update(&self, _new: &mut Object, _old: &Object, _cx: &Context<'_>) {}
    /// Server-owned fields at an update of the subresource `cx.subresource` (everything but status is kept from the
    /// old object by the caller for `status`).
    fn prepare_subresource(&self, _new: &mut Object, _old: &Object, _cx: &Context<'_>) {}

    /// The rule for `metadata.name` (`is_prefix`: for `generateName`).
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::dns1123_subdomain(name)
    }
    /// What other objects forbid of a new object, or of a status (`old` is the object before it). It is said before
    /// everything else.
    fn allow(&self, _new: &Object, _old: Option<&Object>, _cx: &Context<'_>) -> Vec<FieldError> {
        Vec::new()
    }
    /// What is wrong with a new object; metadata is checked by the caller.
    fn validate(&self, _new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        Vec::new()
    }
    /// What is wrong with an update; metadata is checked by the caller. `cx.subresource` says through which door.
    fn validate_update(&self, new: &Object, _old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        self.validate(new, cx)
    }
    /// What is told of a new object before its metadata.
    fn validate_first(&self, _new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        Vec::new()
    }
    /// Whether the metadata of a new object are looked at only when nothing else is wrong with it.
    fn checks_metadata_last(&self) -> bool {
        false
    }
    /// Warnings for the client, as upstream words them.
    fn warnings(&self, _new: &Object, _old: Option<&Object>) -> Vec<String> {
        Vec::new()
    }
    /// Assigns what must be unique in the cluster (cluster IPs, node ports). Runs before validation, under the resource's
    /// lock.
    ///
    /// # Errors
    /// The range is used up, or what was asked for is taken: upstream's Status.
    fn allocate(
        &self,
        _new: &mut Object,
        _old: Option<&Object>,
        _cx: &Context<'_>,
    ) -> Result<(), StatusError> {
        Ok(())
    }

    /// Fills in what upstream finds when it reads a new object back from its store. Runs after validation.
    fn fill_stored(&self, _new: &mut Object) {}
    /// Whether empty lists and maps, which are never stored, count as a change for the generation.
    fn counts_empty(&self) -> bool {
        false
    }

    /// How an object is deleted; `grace_seconds` is what the caller asked for.
    fn deletion(&self, _object: &Object, _grace_seconds: Option<i64>) -> Deletion {
        Deletion::Now
    }
    /// What else a deletion that cannot be done at once changes (namespaces: the phase).
    fn mark_deleted(&self, _object: &mut Object) {}
    /// Whether the kind's own registry compares the preconditions of a delete, in the words of upstream's storage.
    fn compares_preconditions(&self) -> bool {
        false
    }
    /// Whether something besides `metadata.finalizers` keeps a deleted object (namespaces: `spec.finalizers`).
    fn is_held(&self, _object: &Object) -> bool {
        false
    }
    /// Whether dependents are orphaned when the caller does not say. Source: `DefaultGarbageCollectionPolicy`.
    fn orphans_by_default(&self) -> bool {
        false
    }
    /// What a client is warned of that does not say what becomes of dependents.
    fn deletion_warning(&self) -> Option<&'static str> {
        None
    }
    /// Whether a delete answers with the object instead of a Status. Source: `ReturnDeletedObject`.
    fn returns_deleted_object(&self) -> bool {
        false
    }
    /// Whether [`Strategy::allocate`] does anything, so that writes must take turns.
    fn allocates(&self) -> bool {
        false
    }

    /// Columns of the Table; upstream's default is Name and Created At.
    fn columns(&self) -> Vec<Column> {
        crate::kind::default_columns()
    }
    /// The cells of one row, one for each column.
    fn cells<'a>(&self, object: &'a Object, now: Timestamp) -> Vec<Cell<'a>> {
        crate::kind::default_cells(object, now)
    }
    /// By what the rows of a list are ordered, when not by name. Source: the printers of lists.
    fn row_order(&self) -> Option<fn(&Object) -> i64> {
        None
    }
    /// The fields that the cells depend on, as [`meta::raw::Fields`] takes them; empty for all of them.
    fn printed_fields(&self) -> &'static [&'static str] {
        &[]
    }
    /// Fields that `fieldSelector` may name besides `metadata.name` and `metadata.namespace`, with their value
    /// (empty when unset).
    fn selectable_fields(&self) -> &'static [&'static str] {
        &[]
    }
    /// The value of a selectable field; by default the text, number or boolean at the path.
    fn selectable_value(&self, object: &Object, field: &str) -> String {
        crate::kind::value_at(object, field)
    }
    /// The fields that the values of the selectable fields depend on, as [`meta::raw::Fields`] takes them.
    fn selected_fields(&self) -> &'static [&'static str] {
        self.selectable_fields()
    }
    /// Whether upstream lists the kind from a cache, which has no pages of just any state and waits for what is to come.
    /// Source: `DefaultWatchCacheSizes`.
    fn is_cached(&self) -> bool {
        true
    }
    /// The one user who may write a kind that everybody else only reads.
    fn writer(&self) -> Option<&'static str> {
        None
    }
    /// What OpenAPI says of a kind that upstream's type facts do not know: a schema with descriptions, without
    /// `apiVersion`, `kind` and `metadata`.
    fn open_api(&self) -> Option<Value> {
        None
    }
    /// For kinds that tell about other objects: the one that an object tells about. Who may not read that one
    /// does not see this one.
    fn told_about(&self) -> Option<fn(&Object) -> Told> {
        None
    }
    /// Where the `scale` subresource reads and writes; `None` when there is none.
    fn scale(&self) -> Option<Scale> {
        None
    }
    /// Fields that ordinary writes never own through server-side apply, as paths below the object, per subresource
    /// (`None`: the object itself). Source: each strategy's `GetResetFields`.
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        match subresource {
            None => vec![Path::new("status")],
            Some(_) => vec![Path::new("spec")],
        }
    }
}

impl Scale {
    /// `spec.replicas`, `status.replicas`, `spec.selector`.
    pub fn standard() -> Self {
        let path = |parent: &str, field: &str| vec![parent.to_owned(), field.to_owned()];
        Self {
            spec_replicas: path("spec", "replicas"),
            status_replicas: path("status", "replicas"),
            selector: Some(path("spec", "selector")),
        }
    }
}

/// Paths of the `scale` subresource, as field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Path of the desired count.
    pub spec_replicas: Vec<String>,
    /// Path of the observed count.
    pub status_replicas: Vec<String>,
    /// Path of the selector; `None` when the kind has none.
    pub selector: Option<Vec<String>>,
}
