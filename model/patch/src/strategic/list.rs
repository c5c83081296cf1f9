//! Lists in strategic merge patches: merging by key, deleting, and the order that comes out.
//!
//! Order: what the patch (or `$setElementOrder`) names stands in its order; items only the server has keep theirs and
//! are fitted in between by their place in the live list.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Node, PATCH, Refusal, SET_ELEMENT_ORDER, merge_map, unknown_directive};
use crate::go::{self, Go};

const LIST: &str = "[]interface {}";
const MAP: &str = "map[string]interface {}";

/// What tells an item apart in its list, in comparable form: the merge key's value, or the item itself.
pub(super) fn identity(item: &Value, key: Option<&str>) -> String {
    match (key, item) {
        (Some(key), Value::Object(map)) => map.get(key).unwrap_or(&Value::Null).to_string(),
        _ => item.to_string(),
    }
}

/// The first place of every identity.
fn places(items: &[Value], key: Option<&str>) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        places.entry(identity(item, key)).or_insert(at);
    }
    places
}

/// Whether the items are maps; `None` when there are none.
fn are_maps(lists: [&[Value]; 2]) -> Result<Option<bool>, Refusal> {
    let mut found: Option<&Value> = None;
    for item in lists.into_iter().flatten() {
        match found {
            None if item.is_array() => return Err(Refusal::ListOfLists),
            None => found = Some(item),
            Some(first) if go::type_name(first) != go::type_name(item) => {
                let lists = lists.map(|list| Go(&Value::from(list.to_vec())).to_string());
                return Err(Refusal::MixedList(format!("[{}]", lists.join(" "))));
            }
            Some(_) => {}
        }
    }
    Ok(found.map(Value::is_object))
}

fn no_merge_key(item: &Value, key: &str) -> Refusal {
    Refusal::NoMergeKey {
        map: Go(item).to_string(),
        key: key.to_owned(),
    }
}

/// `$deleteFromPrimitiveList`: the list without those scalars.
pub(super) fn delete_items(old: Vec<Value>, gone: &[Value]) -> Result<Vec<Value>, Refusal> {
    if are_maps([&old, gone])? == Some(true) {
        return Err(Refusal::UnkeyedList("struct"));
    }
    let gone = places(gone, None);
    let kept = old.into_iter();
    Ok(kept
        .filter(|item| !gone.contains_key(&identity(item, None)))
        .collect())
}

/// Merges a list whose strategy is `merge`.
pub(super) fn merge_list(
    old: Vec<Value>,
    patch: Vec<Value>,
    at: Node<'_>,
    key: Option<&str>,
) -> Result<Vec<Value>, Refusal> {
    match are_maps([&old, &patch])? {
        None => Ok(old),
        Some(false) => {
            let mut merged = old.clone();
            let mut seen = places(&old, None);
            for item in &patch {
                if seen.insert(identity(item, None), 0).is_none() {
                    merged.push(item.clone());
                }
            }
            Ok(ordered(merged, &patch, &old, None))
        }
        Some(true) => {
            let key = key.ok_or(Refusal::UnkeyedList("struct"))?;
            let (old, patch) = directives(old, patch, key)?;
            let merged = merge_items(old.clone(), &patch, at, key)?;
            if let Some(item) = merged.iter().find(|item| item.get(key).is_none()) {
                return Err(no_merge_key(item, key));
            }
            Ok(ordered(merged, &patch, &old, Some(key)))
        }
    }
}

/// Carries out the `$patch` directives among the items; what is left of the live list and of the patch.
fn directives(
    mut old: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Refusal> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        let Some(map) = item.as_object() else {
            continue;
        };
        let Some(directive) = map.get(PATCH) else {
            plain.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let gone = map.get(key).ok_or_else(|| no_merge_key(&item, key))?;
                old.retain(|item| item.get(key) != Some(gone));
            }
            Some("replace") => replaces = true,
            Some("merge") => return Err(Refusal::MergeDirectiveInList),
            _ => return Err(unknown_directive(directive, map)),
        }
    }
    Ok(if replaces {
        (plain, Vec::new())
    } else {
        (old, plain)
    })
}

/// Merges each item of the patch into the live item of the same key, or appends it.
fn merge_items(
    mut merged: Vec<Value>,
    patch: &[Value],
    at: Node<'_>,
    key: &str,
) -> Result<Vec<Value>, Refusal> {
    let mut places = places(&merged, Some(key));
    for item in patch {
        if item.get(key).is_none() {
            return Err(no_merge_key(item, key));
        }
        let place = *places
            .entry(identity(item, Some(key)))
            .or_insert(merged.len());
        match (merged.get_mut(place), item) {
            (Some(old), Value::Object(item)) => {
                let map = old.as_object_mut().map(std::mem::take).unwrap_or_default();
                *old = Value::Object(merge_map(map, item.clone(), at)?);
            }
            _ => merged.push(item.clone()),
        }
    }
    Ok(merged)
}

/// Brings a merged list into order.
fn ordered(
    merged: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    key: Option<&str>,
) -> Vec<Value> {
    let (patch_places, server_places) = (places(patch_order, key), places(server_order, key));
    let place =
        |places: &BTreeMap<String, usize>, item: &Value| places.get(&identity(item, key)).copied();
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| patch_places.contains_key(&identity(item, key)));
    named.sort_by_cached_key(|item| place(&patch_places, item));
    others.sort_by_cached_key(|item| place(&server_places, item).unwrap_or(usize::MAX));

    let mut all = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let here = place(&server_places, &item);
        while let Some(other) = others.next_if(|other| {
            matches!((place(&server_places, other), here), (Some(other), Some(here)) if other < here)
        }) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(others);
    all
}

/// The `$setElementOrder` directives of a patch.
pub(super) fn orders(patch: &Map<String, Value>) -> Vec<String> {
    let directives = patch.keys();
    let directives = directives.filter(|key| key.starts_with(SET_ELEMENT_ORDER));
    directives.cloned().collect()
}

/// Carries out the `$setElementOrder` directives, together with the lists they order.
pub(super) fn merge_ordered(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
    at: Node<'_>,
) -> Result<(), Refusal> {
    for directive in orders(patch) {
        let order = list_of(patch.remove(&directive))?.unwrap_or_default();
        let name = directive
            .strip_prefix(SET_ELEMENT_ORDER)
            .and_then(|rest| rest.strip_prefix('/'));
        let name = name.ok_or(Refusal::SetElementOrder)?;
        let old = list_of(original.get(name).cloned())?;
        let new = list_of(patch.get(name).cloned())?;
        let (item, strategy) = at.list(name)?;
        let key = strategy.merge_key.as_deref();
        check_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let live = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => new
                .into_iter()
                .filter_map(super::without_directives)
                .collect(),
            (Some(old), Some(new)) if strategy.merge => merge_list(old, new, item, key)?,
            (Some(_), Some(new)) => new,
        };
        if let Some(key) = key {
            check_keys(&merged, &order, key)?;
        }
        patch.remove(name);
        original.insert(
            name.to_owned(),
            Value::Array(ordered(merged, &order, &live, key)),
        );
    }
    Ok(())
}

/// All items of a merged list and of its order must be maps that have the key.
///
/// Source: apimachinery `partitionMapsByPresentInList`, then `validateMergeKeyInLists`.
fn check_keys(merged: &[Value], order: &[Value], key: &str) -> Result<(), Refusal> {
    for item in merged {
        let wanted = key_of(item, key)?;
        for (index, other) in order.iter().enumerate() {
            match other {
                Value::Object(map) if map.get(key) == Some(wanted) => break,
                Value::Object(_) => {}
                _ => return Err(Refusal::NoMap(index)),
            }
        }
    }
    order
        .iter()
        .try_for_each(|item| key_of(item, key).map(drop))
}

/// The merge key's value in an item.
fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, Refusal> {
    match item {
        Value::Object(map) => map.get(key).ok_or_else(|| no_merge_key(item, key)),
        other => Err(mistyped(MAP, other)),
    }
}

fn mistyped(expected: &'static str, found: &Value) -> Refusal {
    Refusal::Mistyped {
        expected,
        found: match found {
            // Go prints the type of nothing as text that is none.
            Value::Null => go::go_string(found),
            found => go::type_name(found).to_owned(),
        },
    }
}

fn list_of(value: Option<Value>) -> Result<Option<Vec<Value>>, Refusal> {
    match value {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(mistyped(LIST, &other)),
    }
}

/// The items of the patch must stand in the order list, in the same order; deletions need not.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Refusal> {
    if order.is_empty() || patch.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let mut is_named = false;
        for other in rest.by_ref() {
            is_named = match key {
                Some(key) if other.is_object() => key_of(item, key)? == key_of(other, key)?,
                Some(key) => {
                    key_of(item, key)?;
                    return Err(mistyped(MAP, other));
                }
                None => item == other,
            };
            if is_named {
                break;
            }
        }
        if !is_named {
            return Err(Refusal::Order {
                patch: Go(&Value::from(patch.to_vec())).to_string(),
                order: Go(&Value::from(order.to_vec())).to_string(),
            });
        }
    }
    Ok(())
}
