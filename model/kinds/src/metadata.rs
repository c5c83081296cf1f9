//! What every object's metadata must satisfy. Source: apimachinery `api/validation/objectmeta.go`.

mod looks;
mod writes;

use std::collections::BTreeMap;

use meta::{FieldError, Object, ObjectExt as _, Path, names};
use serde_json::Value;

use crate::kind::Kind;

/// Most bytes of all annotations together.
const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;
/// Longest name of a field manager.
const MANAGER_BYTES_MAX: usize = 128;
/// Longest name of a subresource in managed fields.
const SUBRESOURCE_BYTES_MAX: usize = 256;
const IMMUTABLE: &str = "field is immutable";
const EMPTY: &str = "must not be empty";

pub(crate) use looks::of_change;
pub use writes::{
    TAKEN_AT_STATUS_UPDATE, allows_create_on_update, fixed_at_status_update, needs_version,
    reset_fields,
};

/// What is wrong with the metadata of a new object of a kind.
pub(crate) fn validate(kind: &Kind, object: &Object) -> Vec<FieldError> {
    let root = Path::new("metadata");
    let strategy = &kind.strategy;
    let mut errors = Vec::new();
    let prefix = object
        .str_at(&["metadata", "generateName"])
        .unwrap_or_default();
    if !prefix.is_empty() {
        let complaints = strategy.name_errors(&masked(prefix), true);
        errors.extend(invalid(&root.child("generateName"), prefix, complaints));
    }
    let name = object.name();
    if name.is_empty() {
        errors.push(FieldError::required(
            &root.child("name"),
            "name or generateName is required",
        ));
    } else {
        errors.extend(invalid(
            &root.child("name"),
            name,
            strategy.name_errors(name, false),
        ));
    }
    whole(kind, object, &mut errors);
    errors
}

/// The start of a name, which may end in a dash since more follows, as a name.
///
/// Source: apimachinery `maskTrailingDash`, which puts a letter in place of the last two bytes.
pub(crate) fn masked(prefix: &str) -> String {
    let start = prefix.strip_suffix('-').and_then(|start| {
        let (last, _) = start.char_indices().next_back()?;
        start.get(..last)
    });
    start.map_or_else(|| prefix.to_owned(), |start| format!("{start}a"))
}

/// What is wrong with metadata, besides the name.
fn whole(kind: &Kind, object: &Object, errors: &mut Vec<FieldError>) {
    let root = Path::new("metadata");
    let namespace = object.namespace();
    let path = root.child("namespace");
    if !kind.is_namespaced() {
        if !namespace.is_empty() {
            errors.push(FieldError::forbidden(&path, "not allowed on this type"));
        }
    } else if namespace.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        errors.extend(invalid(&path, namespace, names::dns1123_label(namespace)));
    }
    common(object, &root, errors);
    errors.extend(finalizers(object, &root.child("finalizers")));
    errors.extend(managed_fields(object, &root.child("managedFields")));
}

/// Groups whose kinds have their finalizers checked by the general rules alone.
const PLAIN_FINALIZERS: [&str; 6] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "policy",
];
/// Source: `helper.IsStandardFinalizerName`.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Finalizers of a new object are qualified or of those that the machinery knows.
pub(crate) fn unqualified_finalizers(kind: &Kind, object: &Object) -> Vec<FieldError> {
    let is_old_event = kind.group.is_empty() && kind.kind == "Event";
    if is_old_event || PLAIN_FINALIZERS.contains(&kind.group.as_ref()) {
        return Vec::new();
    }
    standard_finalizers(object)
}

/// Source: core `validateKubeFinalizerName`.
fn standard_finalizers(object: &Object) -> Vec<FieldError> {
    let path = Path::new("metadata").child("finalizers");
    let finalizers = object.finalizers().into_iter().enumerate();
    finalizers
        .filter(|(_, name)| !name.contains('/') && !STANDARD_FINALIZERS.contains(name))
        .map(|(index, name)| {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            FieldError::invalid(&path.index(index), name, why)
        })
        .collect()
}

/// What of changed metadata may not change. Source: `ValidateObjectMetaAccessorUpdate`.
fn changed(new: &Object, old: &Object) -> Vec<FieldError> {
    let root = Path::new("metadata");
    let mut errors = Vec::new();
    if old.deletion_timestamp().is_some() {
        let known = old.finalizers();
        let mut extra: Vec<&str> = new
            .finalizers()
            .into_iter()
            .filter(|name| !known.contains(name))
            .collect();
        extra.sort_unstable();
        if !extra.is_empty() {
            let quoted: Vec<String> = extra.iter().map(|name| meta::field::quote(name)).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                quoted.join(", ")
            );
            errors.push(FieldError::forbidden(&root.child("finalizers"), why));
        }
    }
    if new.resource_version().is_empty() {
        let path = root.child("resourceVersion");
        errors.push(FieldError::invalid(
            &path,
            "",
            "must be specified for an update",
        ));
    }
    if new.generation() < old.generation() {
        let path = root.child("generation");
        errors.push(FieldError::invalid(
            &path,
            new.generation(),
            "must not be decremented",
        ));
    }
    let fields = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for field in fields {
        let (is, was) = (new.at(&["metadata", field]), old.at(&["metadata", field]));
        if is != was {
            let absent = if field.ends_with("Timestamp") || field.ends_with("Seconds") {
                Value::Null
            } else {
                "".into()
            };
            let value = is.cloned().unwrap_or(absent);
            errors.push(FieldError::invalid(&root.child(field), value, IMMUTABLE));
        }
    }
    common(new, &root, &mut errors);
    errors.extend(managed_fields(new, &root.child("managedFields")));
    errors
}

fn common(object: &Object, root: &Path, errors: &mut Vec<FieldError>) {
    if object.generation() < 0 {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(
            &root.child("generation"),
            object.generation(),
            why,
        ));
    }
    errors.extend(labels(
        object.at(&["metadata", "labels"]),
        &root.child("labels"),
    ));
    let marks = object.at(&["metadata", "annotations"]);
    errors.extend(annotations(marks, &root.child("annotations")));
    errors.extend(owners(object, &root.child("ownerReferences")));
}

/// The fields of an object but metadata and status.
fn rest(object: &Object) -> impl Iterator<Item = (&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(key, _)| !matches!(key.as_str(), "metadata" | "status"))
}

/// Whether anything but metadata and status differs.
pub(crate) fn is_respecified(new: &Object, old: &Object) -> bool {
    rest(new).ne(rest(old))
}

/// One error for each complaint about a text.
pub(crate) fn invalid(path: &Path, value: &str, complaints: Vec<String>) -> Vec<FieldError> {
    complaints
        .into_iter()
        .map(|why| FieldError::invalid(path, value, why))
        .collect()
}

/// The texts of a map field.
pub(crate) fn texts(map: Option<&Value>) -> BTreeMap<&str, &str> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
        .collect()
}

/// What is wrong with labels.
pub(crate) fn labels(map: Option<&Value>, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in texts(map) {
        errors.extend(invalid(path, key, names::qualified_name(key)));
        errors.extend(invalid(path, value, names::label_value(value)));
    }
    errors
}

/// What is wrong with annotations.
pub(crate) fn annotations(map: Option<&Value>, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut bytes = 0;
    for (key, value) in texts(map) {
        errors.extend(invalid(
            path,
            key,
            names::qualified_name(&key.to_lowercase()),
        ));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_BYTES_MAX));
    }
    errors
}

/// The type of an owner reference.
const OWNER: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference";

fn owners(object: &Object, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut first: Option<String> = None;
    let references = object.owner_references();
    for owner in references {
        let text = |field: &str| owner.str_at(&[field]).unwrap_or_default();
        let version = meta::Gvk::from_api_version(text("apiVersion"), "");
        if version.is_none_or(|gvk| gvk.version.is_empty()) {
            let path = path.child("apiVersion");
            errors.push(FieldError::invalid(
                &path,
                text("apiVersion"),
                "version must not be empty",
            ));
        }
        for field in ["kind", "name", "uid"] {
            if text(field).is_empty() {
                errors.push(FieldError::invalid(&path.child(field), "", EMPTY));
            }
        }
        if text("apiVersion") == "v1" && text("kind") == "Event" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            let mut error = FieldError::invalid(path, owner.clone(), why);
            error.shown = crate::schema::internal::named(OWNER, owner);
            errors.push(error);
        }
        if owner.bool_at(&["controller"]) != Some(true) {
            continue;
        }
        let name = format!("{}/{}", text("kind"), text("name"));
        match &first {
            None => first = Some(name),
            Some(first) => {
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
                );
                errors.push(FieldError::invalid(path, references.to_vec(), why));
            }
        }
    }
    errors
}

fn finalizers(object: &Object, path: &Path) -> Vec<FieldError> {
    let names = object.finalizers();
    let mut errors = Vec::new();
    for name in &names {
        errors.extend(invalid(path, name, names::qualified_name(name)));
    }
    let (orphan, foreground) = ("orphan", "foregroundDeletion");
    if names.contains(&orphan) && names.contains(&foreground) {
        let why = format!("finalizer {orphan} and {foreground} cannot be both set");
        let value: Vec<Value> = names.iter().map(|name| Value::from(*name)).collect();
        errors.push(FieldError::invalid(path, value, why));
    }
    errors
}

fn managed_fields(object: &Object, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, entry) in object
        .list_at(&["metadata", "managedFields"])
        .iter()
        .enumerate()
    {
        let path = path.index(index);
        let text = |field: &str| entry.str_at(&[field]).unwrap_or_default();
        let operation = text("operation");
        if !matches!(operation, "Apply" | "Update") {
            let path = path.child("operation");
            errors.push(FieldError::invalid(
                &path,
                operation,
                "must be `Apply` or `Update`",
            ));
        }
        let form = text("fieldsType");
        if !matches!(form, "" | "FieldsV1") {
            errors.push(FieldError::invalid(
                &path.child("fieldsType"),
                form,
                "must be `FieldsV1`",
            ));
        }
        if text("manager").len() > MANAGER_BYTES_MAX {
            errors.push(FieldError::too_long(
                &path.child("manager"),
                MANAGER_BYTES_MAX,
            ));
        }
        if text("subresource").len() > SUBRESOURCE_BYTES_MAX {
            errors.push(FieldError::too_long(
                &path.child("subresource"),
                SUBRESOURCE_BYTES_MAX,
            ));
        }
    }
    errors
}
