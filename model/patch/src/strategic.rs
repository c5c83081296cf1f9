//! Strategic merge patch: merges by what the schema says of each list and by the directives in the patch.
//!
//! Directives: `$patch` (`replace`, `delete`), `$retainKeys`, `$deleteFromPrimitiveList/<field>` and
//! `$setElementOrder/<field>`.

use kinds::schema::{PatchStrategy, Schema, Type, TypeGraph};
use meta::StatusError;
use meta::status::Details;
use serde_json::{Map, Value};

use crate::go::{self, Go};

mod left;
mod list;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";

/// Why a patch cannot be applied; the words are those of apimachinery's `mergepatch`.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    #[error("lists of lists are not supported")]
    ListOfLists,
    #[error("list element types are not identical: {0}")]
    MixedList(String),
    #[error("expected a {expected}, but received a {found}")]
    Mistyped {
        expected: &'static str,
        found: String,
    },
    #[error("value for key {0} is not a map")]
    NoMap(usize),
    #[error("map: {map} does not contain declared merge key: {key}")]
    NoMergeKey { map: String, key: String },
    #[error("cannot merge lists without merge key for {0}")]
    UnkeyedList(&'static str),
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive { directive: String, map: String },
    #[error("merging lists cannot yet be specified in the patch")]
    MergeDirectiveInList,
    #[error("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n")]
    Order { patch: String, order: String },
    #[error("unable to find api field in struct {name} for the json field {field:?}")]
    NoField { name: String, field: String },
    #[error("merging an object in json but data type is not struct, instead is: {0}")]
    NoStruct(&'static str),
    #[error("expected slice or array type, but got: {0}")]
    NoList(&'static str),
}

impl From<Refusal> for StatusError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::PrimitiveList | Refusal::RetainKeys | Refusal::SetElementOrder => {
                Self::bad_request(refusal.to_string())
            }
            Refusal::ListOfLists => Self::new(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
            .with_details(Details::default()),
            // Upstream gives these no code of their own, so they surface as 500 without a reason.
            other => Self::new(500, "", other.to_string()),
        }
    }
}

/// Applies a strategic merge patch to an object of that schema.
///
/// # Errors
/// 400 when the patch is no object or a directive is malformed, 422 for lists of lists, 500 as upstream answers when
/// a merge key is missing or a directive names an unknown field.
pub fn strategic(current: &Value, patch: &Value, schema: &Schema) -> Result<Value, StatusError> {
    let Value::Object(patch) = patch else {
        let kind = meta::go::json_kind(patch);
        return Err(StatusError::bad_request(format!(
            "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )));
    };
    let current = current.as_object().cloned().unwrap_or_default();
    let at = Node {
        graph: &schema.graph,
        ty: &schema.ty,
    };
    Ok(Value::Object(merge_map(current, patch.clone(), at)?))
}

/// What of a patch is left once it was merged; upstream shows that when the outcome is no object.
pub fn strategic_left(current: &Value, patch: &Value, schema: &Schema) -> Value {
    let (Value::Object(current), Value::Object(patch)) = (current, patch) else {
        return patch.clone();
    };
    let at = Node {
        graph: &schema.graph,
        ty: &schema.ty,
    };
    Value::Object(left::left_over(current, patch.clone(), at))
}

/// A type and where its structs live.
#[derive(Clone, Copy)]
struct Node<'a> {
    graph: &'a TypeGraph,
    ty: &'a Type,
}

/// The struct that holds what has no type: it has no fields to merge.
const UNTYPED: &str = "RawExtension";

impl<'a> Node<'a> {
    /// Type and strategy of a field that holds a map in both object and patch.
    fn field(self, name: &str) -> Result<(Self, &'a PatchStrategy), Refusal> {
        let item = match self.ty {
            Type::Struct(index) => self.graph.types.get(*index),
            Type::Any => {
                return Err(Refusal::NoField {
                    name: UNTYPED.to_owned(),
                    field: name.to_owned(),
                });
            }
            other => return Err(Refusal::NoStruct(go_kind(other))),
        };
        let field = item.and_then(|item| item.field(name));
        let field = field.ok_or_else(|| {
            let go_name = item.map_or("", |item| item.go_name.as_str());
            Refusal::NoField {
                name: go_name.rsplit('.').next().unwrap_or_default().to_owned(),
                field: name.to_owned(),
            }
        })?;
        let at = Self {
            ty: &field.ty,
            ..self
        };
        Ok((at, &field.patch))
    }
    /// Type of the items and strategy of a field that holds a list.
    fn list(self, name: &str) -> Result<(Self, &'a PatchStrategy), Refusal> {
        let (at, strategy) = self.field(name)?;
        match at.ty {
            Type::List(list) => Ok((
                Self {
                    ty: &list.item,
                    ..self
                },
                strategy,
            )),
            other => Err(Refusal::NoList(go_kind(other))),
        }
    }
}

/// Go's `reflect.Kind` of a type.
fn go_kind(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float64 => "float64",
        Type::Bytes | Type::List(_) => "slice",
        Type::Map { .. } => "map",
        Type::String => "string",
        _ => "struct",
    }
}

fn merge_map(
    mut original: Map<String, Value>,
    mut patch: Map<String, Value>,
    at: Node<'_>,
) -> Result<Map<String, Value>, Refusal> {
    if let Some(directive) = patch.get(PATCH) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(PATCH);
                Ok(patch)
            }
            Some("delete") => Ok(Map::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    list::merge_ordered(&mut original, &mut patch, at)?;
    for (key, value) in patch {
        merge_field(&mut original, &key, value, at)?;
    }
    Ok(original)
}

fn unknown_directive(directive: &Value, patch: &Map<String, Value>) -> Refusal {
    Refusal::Directive {
        directive: go::go_string(directive),
        map: Go(&Value::Object(patch.clone())).to_string(),
    }
}

/// Drops what the `$retainKeys` directive does not name, when it is there.
fn retain_keys(
    original: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), Refusal> {
    let Some(kept) = patch.remove(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(kept) = kept else {
        return Err(Refusal::RetainKeys);
    };
    let is_kept = |key: &str| kept.iter().any(|name| name.as_str() == Some(key));
    let mut mentioned = patch.iter().filter(|(key, value)| {
        !value.is_null()
            && !key.starts_with(DELETE_FROM_PRIMITIVE_LIST)
            && !key.starts_with(SET_ELEMENT_ORDER)
    });
    if !mentioned.all(|(key, _)| is_kept(key)) {
        return Err(Refusal::RetainKeys);
    }
    original.retain(|key, _| is_kept(key));
    Ok(())
}

fn merge_field(
    original: &mut Map<String, Value>,
    key: &str,
    value: Value,
    at: Node<'_>,
) -> Result<(), Refusal> {
    let (key, is_deletion) = match key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
        Some(rest) => (rest.strip_prefix('/').ok_or(Refusal::PrimitiveList)?, true),
        None => (key, false),
    };
    if value.is_null() {
        original.remove(key);
        return Ok(());
    }
    let old = original.get_mut(key);
    let merged = match (old.map(Value::take), value) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            let (at, strategy) = at.field(key)?;
            Value::Object(if strategy.replace {
                new
            } else {
                merge_map(old, new, at)?
            })
        }
        (Some(Value::Array(old)), Value::Array(new)) => {
            let (at, strategy) = at.list(key)?;
            let merged = if is_deletion {
                list::delete_items(old, &new)?
            } else if strategy.merge {
                list::merge_list(old, new, at, strategy.merge_key.as_deref())?
            } else {
                new
            };
            Value::Array(merged)
        }
        (Some(old), _) if is_deletion => old,
        (None, _) if is_deletion => return Ok(()),
        (_, new) => {
            let Some(new) = without_directives(new) else {
                original.remove(key);
                return Ok(());
            };
            new
        }
    };
    original.insert(key.to_owned(), merged);
    Ok(())
}

/// The value as it is taken over where nothing can be merged: without null members and without what carries a
/// directive; `None` when the value itself carries one.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) => {
            // Members that are null go first, and so does a directive that is.
            if map.get(PATCH).is_some_and(|directive| !directive.is_null()) {
                return None;
            }
            let members = map.into_iter().filter(|(_, value)| !value.is_null());
            Some(Value::Object(
                members
                    .filter_map(|(key, value)| Some((key, without_directives(value)?)))
                    .collect(),
            ))
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        scalar => Some(scalar),
    }
}

#[cfg(test)]
mod tests;
