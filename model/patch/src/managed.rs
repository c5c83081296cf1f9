//! Who owns which field: `metadata.managedFields`, and server-side apply, as structured-merge-diff does both.
//!
//! [`update`] recomputes ownership after a create, an update or a patch. [`apply`] merges an applied configuration.
//! Neither decodes, defaults or validates: the caller does, before `update` and after `apply`.
//!
//! DIFFERS: entries of another API version are compared in the version of the request. Upstream converts the object
//! first; but for autoscalers, the paths of the versions served here are the same.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use kinds::schema::{Schema, zero};
use meta::{Gvk, ObjectExt, Path, StatusError, time};
use serde_json::{Map, Value};

mod apply;
mod atom;
mod check;
mod collect;
mod combine;
mod compare;
mod conflict;
mod element;
mod entries;
mod last_applied;
mod remove;
mod scale;
mod set;

pub use element::{Element, Scalar};
pub use entries::Operation;
pub use scale::{Replicas, parent_fields, scale_fields};
pub use set::FieldSet;

use atom::Node;
use compare::{Comparison, compare};
use entries::{ManagerId, Managers, Owned};

/// The manager that gets all fields of an object that was not tracked before its first apply.
///
/// Source: apimachinery `skipNonAppliedManager`.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

const MANAGED_FIELDS: &[&str] = &["metadata", "managedFields"];

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The `fieldManager` parameter, or what stands before the slash in the user agent; `unknown` when empty.
    pub name: &'a str,
    /// API version of the request.
    pub api_version: &'a str,
    /// Subresource written through; empty for the object itself.
    pub subresource: &'a str,
    /// Time of the request.
    pub time: Timestamp,
}

impl Manager<'_> {
    fn id(&self, operation: Operation) -> ManagerId {
        let name = if self.name.is_empty() {
            "unknown"
        } else {
            self.name
        };
        ManagerId::new(name, operation, self.api_version, self.subresource)
    }
}

/// Fields that no entry ever lists. Source: apimachinery `stripMetaManager`.
static UNTRACKED: LazyLock<FieldSet> = LazyLock::new(|| {
    let metadata = [
        "",
        ".name",
        ".namespace",
        ".creationTimestamp",
        ".selfLink",
        ".uid",
        ".clusterName",
        ".generation",
        ".managedFields",
        ".resourceVersion",
    ];
    let metadata = metadata.map(|field| format!("metadata{field}"));
    let paths = ["apiVersion", "kind"].into_iter();
    field_paths(paths.chain(metadata.iter().map(String::as_str)))
});

fn field_paths<'a>(dotted: impl Iterator<Item = &'a str>) -> FieldSet {
    let mut set = FieldSet::default();
    for path in dotted {
        let path: Vec<Element> = path.split('.').map(Element::field).collect();
        set.insert(&path);
    }
    set
}

fn reset_fields(reset: &[Path]) -> FieldSet {
    field_paths(reset.iter().map(Path::as_str))
}

fn entries_of(object: &Value) -> &[Value] {
    object.list_at(MANAGED_FIELDS)
}

/// Recomputes `new`'s managed fields after a write that is no apply.
///
/// `live` is the stored object, `None` at a create; `new` is decoded and defaulted, before admission. What was changed
/// or added goes to the manager, what was removed leaves everyone. `reset` names the fields that such a write cannot
/// change (`status`, for the object itself). Managed fields that the client sent are taken over unless the write goes
/// through a subresource; a single empty entry clears them, and tracking stops.
pub fn update(
    live: Option<&Value>,
    new: &mut Value,
    manager: &Manager<'_>,
    schema: &Schema,
    reset: &[Path],
) {
    let mut managers = starting_point(live, new, manager);
    new.remove(MANAGED_FIELDS);
    let is_create = live.is_none_or(|live| live.uid().is_empty());
    if managers.is_empty() && !is_create {
        return;
    }
    forget_other_groups(&mut managers, manager);
    let unset;
    let live = if let Some(live) = live {
        live
    } else {
        unset = zero(&schema.graph, &schema.ty);
        &unset
    };
    let at = Node::root(schema);
    let id = manager.id(Operation::Update);
    let is_told = record(
        live,
        new,
        &mut managers,
        (id, manager),
        at,
        &reset_fields(reset),
    );
    if !is_told {
        // Upstream's updates never fail for this, but leave nothing tracked. Source: `FieldManager.UpdateNoErrors`.
        return;
    }
    entries::cap(&mut managers);
    write(new, &managers);
}

/// The entries to start from: the client's, if it may send any and they are well-formed, else the live object's.
fn starting_point(live: Option<&Value>, new: &Value, manager: &Manager<'_>) -> Managers {
    let of_live = || {
        let entries = live.map(entries_of).unwrap_or_default();
        entries::decode(entries).unwrap_or_default()
    };
    if !manager.subresource.is_empty() {
        return of_live();
    }
    let sent = new.at(MANAGED_FIELDS).and_then(Value::as_array);
    let is_empty_entry = |entry: &Value| entry.as_object().is_some_and(serde_json::Map::is_empty);
    match sent.map(Vec::as_slice) {
        Some([]) => Managers::new(),
        Some([entry]) if is_empty_entry(entry) => Managers::new(),
        Some(sent) => match entries::decode(sent) {
            Ok(managers) => managers,
            Err(_) => of_live(),
        },
        None => of_live(),
    }
}

/// Drops the entries of another API group, into which upstream cannot convert: those of an Event that was written through
/// both of its groups.
fn forget_other_groups(managers: &mut Managers, manager: &Manager<'_>) {
    let group = |version: &str| version.rsplit_once('/').map(|(group, _)| group.to_owned());
    let wanted = group(manager.api_version);
    managers.retain(|_, owned| group(&owned.api_version) == wanted);
}

/// Gives what changed between the two objects to the manager; whether it can be told what did.
fn record(
    live: &Value,
    new: &Value,
    managers: &mut Managers,
    (id, manager): (ManagerId, &Manager<'_>),
    at: Node<'_>,
    reset: &FieldSet,
) -> bool {
    reconcile(managers, manager.api_version, at);
    let changes = compare(live, new, at).without(reset);
    if changes.has_nameless {
        return false;
    }
    release(managers, &changes, None);
    let mut taken = changes.modified;
    taken.absorb(changes.added);
    taken.subtract(&UNTRACKED);
    if taken.is_empty() {
        return true;
    }
    let set = match managers.remove(&id) {
        Some(before) => {
            taken.absorb(before.set);
            taken
        }
        None => taken,
    };
    let owned = Owned {
        set,
        api_version: manager.api_version.to_owned(),
        time: Some(time::to_rfc3339(manager.time)),
    };
    managers.insert(id, owned);
    true
}

/// Follows changes of the schema from granular to atomic; other versions have schemas of their own.
fn reconcile(managers: &mut Managers, api_version: &str, at: Node<'_>) {
    for owned in managers.values_mut() {
        if owned.api_version == api_version {
            owned.set.reconcile(at);
        }
    }
}

/// Takes from everyone but `except` what was changed, added or removed; who is left with nothing goes.
fn release(managers: &mut Managers, changes: &Comparison, except: Option<&ManagerId>) {
    managers.retain(|id, owned| {
        if Some(id) != except {
            owned.set.subtract(&changes.modified);
            owned.set.subtract(&changes.added);
            owned.set.subtract(&changes.removed);
        }
        !owned.set.is_empty()
    });
}

fn write(object: &mut Value, managers: &Managers) {
    if managers.is_empty() {
        object.remove(MANAGED_FIELDS);
    } else {
        object.set(MANAGED_FIELDS, entries::encode(managers));
    }
}

/// Merges an applied configuration into the live object and records who owns what.
///
/// `live` is the stored object, `None` when there is none yet. `kind` is what the URL names. `force` takes the fields
/// of others. The answer is to be decoded and defaulted; it equals `live` when the configuration changes nothing.
///
/// # Errors
/// 400 when the configuration is of another kind or carries managed fields, 409 on conflicts, 500 (as upstream) when it
/// does not fit the schema.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    kind: &Gvk,
    manager: &Manager<'_>,
    force: bool,
    schema: &Schema,
    reset: &[Path],
) -> Result<Value, StatusError> {
    apply::check_config(config, kind, schema)?;
    let unset = zero(&schema.graph, &schema.ty);
    let live = live.unwrap_or(&unset);
    let mut managers = entries::decode(entries_of(live)).map_err(|error| {
        StatusError::new(500, "", format!("failed to decode managed fields: {error}"))
    })?;
    let is_tracked = !managers.is_empty();
    forget_other_groups(&mut managers, manager);
    let at = Node::root(schema);
    let reset = reset_fields(reset);
    if !is_tracked {
        let before = Manager {
            name: BEFORE_FIRST_APPLY,
            ..*manager
        };
        let id = before.id(Operation::Update);
        record(&unset, live, &mut managers, (id, &before), at, &reset);
    }
    let request = apply::Request {
        live,
        config,
        id: manager.id(Operation::Apply),
        manager,
        at,
        reset: &reset,
    };
    apply::apply(&request, managers, force)
}

/// Whether these entries could be stored; checked again after admission has had its hands on them.
///
/// # Errors
/// What is wrong, in apimachinery's words.
pub fn validate(entries: &[Value]) -> Result<(), String> {
    entries::decode(entries).map(drop)
}

/// Puts back the old entries when nothing but their times differs, so that a write without effect stays without one.
///
/// Source: apiserver `IgnoreManagedFieldsTimestampsTransformer`.
pub fn keep_times_if_unchanged(old: &Value, new: &mut Value) {
    let (was, is) = (entries_of(old), entries_of(new));
    let is_same = !is.is_empty()
        && was.len() == is.len()
        && (was.iter().zip(is)).all(|(was, is)| are_equal_but("time", Some(was), Some(is)))
        && are_equal_but("metadata", Some(old), Some(new))
        && are_equal_but("managedFields", old.get("metadata"), new.get("metadata"));
    if is_same {
        new.set(MANAGED_FIELDS, Value::from(was.to_vec()));
    }
}

/// Whether two maps have the same fields but for one.
fn are_equal_but(field: &str, old: Option<&Value>, new: Option<&Value>) -> bool {
    let rest = |value| {
        let fields: Option<&Map<String, Value>> = Option::and_then(value, Value::as_object);
        let fields = fields.into_iter().flatten();
        fields.filter(|(name, _)| *name != field)
    };
    rest(old).eq(rest(new))
}

/// Fields by manager.
type Conflicting = BTreeMap<ManagerId, FieldSet>;

#[cfg(test)]
mod tests;
