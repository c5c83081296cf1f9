//! Server-side apply: merge, prune what is no longer applied, settle conflicts, record ownership.

use kinds::schema::Schema;
use meta::{Gvk, ObjectExt, StatusError, time};
use serde_json::Value;

use super::atom::Node;
use super::collect::field_set;
use super::combine::combine;
use super::compare::{are_equal, compare};
use super::conflict::{Conflict, conflicts, refusal};
use super::entries::{ManagerId, Managers, Owned};
use super::remove::remove;
use super::set::FieldSet;
use super::{Conflicting, MANAGED_FIELDS, Manager, UNTRACKED, check, last_applied, reconcile};
use super::{release, write};

/// One apply.
pub(super) struct Request<'a> {
    pub(super) live: &'a Value,
    pub(super) config: &'a Value,
    pub(super) id: ManagerId,
    pub(super) manager: &'a Manager<'a>,
    pub(super) at: Node<'a>,
    pub(super) reset: &'a FieldSet,
}

/// Go's way to print a kind: `apps/v1, Kind=Deployment`.
fn kind_text(group_version: &str, kind: &str) -> String {
    let slash = if group_version.contains('/') { "" } else { "/" };
    format!("{slash}{group_version}, Kind={kind}")
}

/// Refuses a configuration of the wrong kind, with managed fields, or that does not fit the schema.
pub(super) fn check_config(config: &Value, kind: &Gvk, schema: &Schema) -> Result<(), StatusError> {
    let group_version = config.api_version();
    if config.gvk().as_ref() != Some(kind) {
        return Err(StatusError::bad_request(format!(
            "invalid object type: {}",
            kind_text(group_version, config.kind())
        )));
    }
    if config.at(MANAGED_FIELDS).is_some() {
        return Err(StatusError::bad_request(
            "metadata.managedFields must be nil",
        ));
    }
    check::check(config, Node::root(schema)).map_err(|error| {
        let subject = format!(
            "{}/{}; {}",
            config.namespace(),
            config.name(),
            kind_text(group_version, config.kind())
        );
        StatusError::new(
            500,
            "",
            format!("failed to create typed patch object ({subject}): {error}"),
        )
    })
}

/// Applies; an apply by `kubectl` may take over what its client-side apply left.
pub(super) fn apply(
    request: &Request<'_>,
    mut managers: Managers,
    force: bool,
) -> Result<Value, StatusError> {
    reconcile(&mut managers, request.manager.api_version, request.at);
    let is_kubectl = request.manager.name == last_applied::KUBECTL;
    let outcome = match attempt(request, managers.clone(), force) {
        Err(found) if is_kubectl => {
            let api_version = request.manager.api_version;
            let allowed = last_applied::untouched(request.live, api_version, request.at);
            let allowed = allowed.unwrap_or_default();
            let mut rest = found;
            rest.retain(|conflict| !allowed.has(&conflict.path));
            if rest.is_empty() {
                attempt(request, managers, true)
            } else {
                Err(rest)
            }
        }
        outcome => outcome,
    };
    let (changed, managers) = outcome.map_err(|found| refusal(&found))?;
    let mut object = changed.unwrap_or_else(|| request.live.clone());
    write(&mut object, &managers);
    if is_kubectl {
        last_applied::note(&mut object, request.config);
    }
    Ok(object)
}

/// The new object, `None` when it equals the live one, and who owns what then.
fn attempt(
    request: &Request<'_>,
    mut managers: Managers,
    force: bool,
) -> Result<(Option<Value>, Managers), Vec<Conflict>> {
    let Request {
        live,
        config,
        id,
        manager,
        at,
        reset,
    } = request;
    let merged = combine(live, config, *at);
    let before = managers.remove(id);
    let mut set = field_set(config, *at);
    set.subtract_trees(reset);
    let applied = Owned {
        set,
        api_version: manager.api_version.to_owned(),
        time: before.as_ref().and_then(|before| before.time.clone()),
    };
    managers.insert(id.clone(), applied);
    let new = match before {
        Some(before) if !before.set.is_empty() => prune(&merged, &managers, &before.set, *at),
        _ => merged,
    };
    let changes = compare(live, &new, *at).without(reset);
    if !force {
        let mut touched = changes.modified.clone();
        touched.absorb(changes.added.clone());
        let others = managers.iter().filter(|(other, _)| *other != id);
        let sets: Conflicting = others
            .map(|(other, owned)| (other.clone(), owned.set.intersection(&touched)))
            .filter(|(_, set)| !set.is_empty())
            .collect();
        if !sets.is_empty() {
            return Err(conflicts(&sets));
        }
    }
    release(&mut managers, &changes, Some(id));
    let is_noop = are_equal(live, &new);
    if let Some(mut applied) = managers.remove(id) {
        applied.set.subtract(&UNTRACKED);
        if !is_noop {
            applied.time = Some(time::to_rfc3339(manager.time));
        }
        if !applied.set.is_empty() {
            managers.insert(id.clone(), applied);
        }
    }
    Ok(((!is_noop).then_some(new), managers))
}

/// Takes out what the manager applied before and applies no more, unless someone owns it or something below it.
fn prune(merged: &Value, managers: &Managers, before: &FieldSet, at: Node<'_>) -> Value {
    let before = before.with_named_fields(at);
    let pruned = remove(merged, &before, at);
    let mut owned = FieldSet::default();
    for manager in managers.values() {
        owned.absorb(manager.set.clone());
    }
    let in_merged = field_set(merged, at).with_named_fields(at);
    let in_pruned = field_set(&pruned, at).with_named_fields(at);
    let mut unowned = in_merged.clone();
    unowned.subtract(&in_pruned);
    unowned.subtract(&owned.with_named_fields(at));
    let pruned = remove(merged, &unowned, at);
    let in_pruned = field_set(&pruned, at).with_named_fields(at);
    let dangling = in_merged.difference(&in_pruned).intersection(&before);
    remove(merged, &dangling, at)
}
