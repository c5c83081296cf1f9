//! PATCH: JSON patch, merge patch, strategic merge patch, server-side apply.

use axum::body::Body;
use http::Response;
use kinds::Lookup as _;
use kinds::schema::{Schema, decode, decode_converted, restore};
use meta::status::Details;
use meta::{FieldError, Gvk, Object, ObjectExt, Path, StatusError};
use patch::managed::{self, Manager};
use serde_json::Value;
use wire::json::Document;
use wire::media;

use crate::body::Misfit;
use crate::call::Call;
use crate::options::{FieldValidation, WriteOptions};
use crate::write::{Change, Identity, Ownership};
use crate::{body, ownership, respond, write};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

pub(super) async fn patch(call: &Call) -> Result<Response<Body>, StatusError> {
    let (options, patch) = read_patch(call)?;
    let reset = kinds::write::reset_fields(&call.kind, call.subresource());
    let change = Patched {
        patch,
        target: Target {
            gvk: &call.kind.gvk(),
            schema: &call.kind.schema,
            manager: ownership::manager_as(call, &options, &call.api_version),
            reset: &reset,
            force: options.force.unwrap_or_default(),
        },
        validation: options.field_validation,
        call,
        name: &call.info.name,
    };
    let written = write::update(call, &call.info.name, &options, &change).await?;
    let mut response = respond::object(call, &call.kind, written.code(), written.object.clone())?;
    respond::warn(&mut response, &written.warnings);
    Ok(response)
}

/// Reads the options and the patch in the form its content type names.
pub(crate) fn read_patch(call: &Call) -> Result<(WriteOptions, Patch), StatusError> {
    let content_type = media::media_type(call.header(http::header::CONTENT_TYPE));
    if !matches!(content_type, JSON | MERGE | STRATEGIC | APPLY) {
        // The route is asked before anything is read.
        let words = "415: Unsupported Media Type";
        let error = StatusError::new(415, "UnsupportedMediaType", words);
        return Err(error.with_details(Details::default()));
    }
    let options = WriteOptions::read(&call.query, "PatchOptions")?;
    ownership::check_options(&options, content_type == APPLY)?;
    if let Some(audit) = &call.audit {
        // JSON is YAML, too.
        audit.patched(|| wire::yaml::read(&call.body).ok().map(|read| read.value));
    }
    let patch = decode_patch(call, content_type, options.field_validation);
    let patch = patch.map_err(|error| absent(call, content_type).unwrap_or(error))?;
    Ok((options, patch))
}

/// What upstream says before it reads a patch: but for an apply, there must be something to patch.
fn absent(call: &Call, content_type: &str) -> Option<StatusError> {
    let name = &call.info.name;
    if !matches!(content_type, JSON | MERGE | STRATEGIC) {
        return None;
    }
    let resource = call.kind.storage_resource().to_string();
    let found = call.cluster().get(&resource, &call.info.namespace, name);
    found.is_none().then(|| call.not_found(name))
}

fn decode_patch(
    call: &Call,
    content_type: &str,
    validation: FieldValidation,
) -> Result<Patch, StatusError> {
    Ok(match content_type {
        JSON => Patch::Json {
            complaints: operations(call, validation)?,
            patch: call.body.to_vec(),
        },
        MERGE => match read(call, "error decoding patch: ")? {
            document if document.value.is_null() => {
                return Err(StatusError::bad_request("Invalid JSON Patch"));
            }
            document => Patch::Merge {
                patch: call.body.to_vec(),
                document,
            },
        },
        STRATEGIC => {
            let mut document = read(call, "")?;
            if document.value.is_null() {
                document.value = Value::Object(serde_json::Map::new());
            }
            Patch::Strategic(document)
        }
        _ => Patch::Apply(configuration(call)?),
    })
}

/// Reads a configuration to apply, which must be a map.
fn configuration(call: &Call) -> Result<Document, StatusError> {
    let refuse = |why: String| StatusError::bad_request(format!("error decoding YAML: {why}"));
    let unread = |why| refuse(format!("error converting YAML to JSON: {why}"));
    let document = wire::yaml::read(&call.body).map_err(unread)?;
    match body::go_sort(&document.value) {
        Some(sort) if !document.value.is_object() => Err(refuse(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {sort} into Go value of type map[string]interface {{}}"
        ))),
        _ => Ok(document),
    }
}

/// Reads a patch that is a JSON map; `prefix` starts what is said about one that is none.
fn read(call: &Call, prefix: &str) -> Result<Document, StatusError> {
    let refuse = |why: &str| StatusError::bad_request(format!("{prefix}{why}"));
    let document = wire::json::read(&call.body).map_err(|why| refuse(&why))?;
    match (&document.value, body::go_sort(&document.value)) {
        (Value::Object(_), _) | (_, None) => Ok(document),
        (_, Some(sort)) => Err(refuse(&format!(
            "json: cannot unmarshal {sort} into Go value of type map[string]interface {{}}"
        ))),
    }
}

/// What operations of a JSON patch consist of. Source: apiserver `handlers.jsonPatchOp`.
const OPERATION: [&str; 4] = ["op", "from", "path", "value"];

/// What Go says of the first field of an operation that is no text, in the order of its document.
fn mistyped(operation: &Value) -> Option<String> {
    let mut fields = operation.as_object()?.iter();
    fields.find_map(|(field, value)| {
        let is_text = field != "value" && OPERATION.contains(&field.as_str());
        let sort = body::go_sort(value).filter(|_| is_text && !value.is_string())?;
        Some(format!(
            "json: cannot unmarshal {sort} into Go struct field jsonPatchOp.{field} of type string"
        ))
    })
}

/// The operations of a JSON patch must be a list; answers with what in them is not known or stands twice.
fn operations(call: &Call, validation: FieldValidation) -> Result<Vec<String>, StatusError> {
    let refuse = |why: &str| StatusError::bad_request(format!("error decoding patch: {why}"));
    let document = wire::json::read(&call.body).map_err(|why| refuse(&why))?;
    let operations = match (&document.value, body::go_sort(&document.value)) {
        (Value::Array(operations), _) => operations.as_slice(),
        (_, None) => &[],
        (_, Some(sort)) => {
            return Err(refuse(&format!(
                "json: cannot unmarshal {sort} into Go value of type []handlers.jsonPatchOp"
            )));
        }
    };
    if validation != FieldValidation::Ignore
        && let Some(why) = operations.iter().find_map(mistyped)
    {
        return Err(refuse(&why));
    }
    let unknown = operations
        .iter()
        .enumerate()
        .flat_map(|(index, operation)| {
            let fields = operation.as_object().into_iter().flat_map(|map| map.keys());
            let unknown = fields.filter(|field| !OPERATION.contains(&field.as_str()));
            unknown.map(move |field| format!("unknown field \"[{index}].{field}\""))
        });
    let complaints = document.duplicates.iter().cloned().chain(unknown);
    Ok(complaints.map(|one| format!("json patch {one}")).collect())
}

/// A patch in one of its four forms.
pub(crate) enum Patch {
    /// RFC 6902, as it came.
    Json {
        patch: Vec<u8>,
        /// What is not known of it, or stands twice.
        complaints: Vec<String>,
    },
    /// RFC 7386, as it came and as it reads.
    Merge { patch: Vec<u8>, document: Document },
    /// Upstream's own, by the type's merge keys.
    Strategic(Document),
    /// A configuration to apply.
    Apply(Document),
}

/// What a patch is applied to, and as whom.
pub(crate) struct Target<'a> {
    pub(crate) gvk: &'a Gvk,
    pub(crate) schema: &'a Schema,
    pub(crate) manager: Manager<'a>,
    /// Fields that an apply cannot own here.
    pub(crate) reset: &'a [Path],
    /// Whether an apply takes what others own.
    pub(crate) force: bool,
}

impl Patch {
    /// The patched object, not decoded yet, with the complaints about the patch itself.
    ///
    /// # Errors
    /// The patch does not fit, or (an apply) others own what it sets.
    pub(crate) fn patched(
        &self,
        live: Option<&Object>,
        target: &Target<'_>,
    ) -> Result<Document, StatusError> {
        let present = || live.ok_or_else(|| StatusError::internal("a patch needs an object"));
        let (value, duplicates): (Value, &[String]) = match self {
            Self::Json { patch, complaints } => (patch::json(present()?, patch)?, complaints),
            Self::Merge { document, .. } => (
                patch::merge(present()?, &document.value),
                &document.duplicates,
            ),
            Self::Strategic(document) => (
                patch::strategic(present()?, &document.value, target.schema)?,
                &document.duplicates,
            ),
            Self::Apply(document) => {
                check_config(&document.value, target.gvk)?;
                let merged = managed::apply(
                    live,
                    &document.value,
                    target.gvk,
                    &target.manager,
                    target.force,
                    target.schema,
                    target.reset,
                )?;
                (merged, &document.duplicates)
            }
        };
        Ok(Document {
            value,
            duplicates: duplicates.to_vec(),
        })
    }

    /// The patched object as one of its kind.
    ///
    /// # Errors
    /// The patch does not fit, or its outcome is no object of the kind: then what is shown is that, or a strategic patch
    /// itself.
    pub(crate) fn outcome(
        &self,
        live: Option<&Object>,
        target: &Target<'_>,
        validation: FieldValidation,
    ) -> Result<body::Body, StatusError> {
        let mut document = self.patched(live, target)?;
        let mut read: body::Read = decode;
        match self {
            Self::Strategic(_) => {
                self.keep_kind(live, &mut document.value, target)?;
                restore::narrow(target.schema, &mut document.value);
                read = decode_converted;
            }
            Self::Apply(_) => {
                if validation == FieldValidation::Strict && !document.duplicates.is_empty() {
                    let why = body::joined(&document.duplicates);
                    return Err(StatusError::bad_request(format!(
                        "error strict decoding YAML: error converting YAML to JSON: {why}"
                    )));
                }
                restore::narrow(target.schema, &mut document.value);
            }
            Self::Json { .. } | Self::Merge { .. } => forget_unversioned(&mut document),
        }
        body::fit(document, target.gvk, target.schema, validation, &[], read)
            .map_err(|misfit| self.refusal(live, target, misfit))
    }

    /// A strategic patch is made on the type itself: the kind and version it names change nothing.
    fn keep_kind(
        &self,
        live: Option<&Object>,
        outcome: &mut Value,
        target: &Target<'_>,
    ) -> Result<(), StatusError> {
        for (field, kept) in [
            ("apiVersion", target.gvk.api_version()),
            ("kind", target.gvk.kind.clone()),
        ] {
            let is_text = |value: &Value| value.is_string() || value.is_null();
            if outcome.get(field).is_some_and(|value| !is_text(value)) {
                let why = restore::problem(target.schema, outcome).unwrap_or_default();
                let (shown, why) = self.shown(live, target, outcome, why);
                let error = FieldError::invalid(&Path::new("patch"), shown, why);
                return Err(StatusError::invalid("", "", "", &[error]));
            }
            outcome.set(&[field], kept.into());
        }
        Ok(())
    }

    /// What is shown of a patch whose outcome is no object, and why it is none: for a strategic one the patch itself.
    fn shown(
        &self,
        old: Option<&Object>,
        target: &Target<'_>,
        outcome: &Value,
        why: String,
    ) -> (String, String) {
        let live = old.unwrap_or(&Value::Null);
        let encoded = || restore::encoded(target.schema, live);
        let shown = match self {
            Self::Strategic(patch) => {
                let why = restore::problem(target.schema, outcome).unwrap_or(why);
                let why = in_conversion(why);
                let left = patch::strategic_left(live, &patch.value, target.schema);
                return (patch::go_text(&left), why);
            }
            Self::Json { patch, .. } => {
                patch::json_text(&encoded(), &String::from_utf8_lossy(patch))
            }
            Self::Merge { patch, .. } => {
                patch::merge_text(&encoded(), &String::from_utf8_lossy(patch))
            }
            Self::Apply(_) => encoded(),
        };
        (meta::field::html_safe(shown), why)
    }

    /// The answer to a patch whose outcome is no object of the kind.
    fn refusal(&self, old: Option<&Object>, target: &Target<'_>, misfit: Misfit) -> StatusError {
        let (shown, why) = match (self, misfit) {
            (Self::Apply(config), Misfit::Undecodable { said, why }) => {
                let problem = self.patched(old, target).ok();
                let problem =
                    problem.and_then(|outcome| restore::problem(target.schema, &outcome.value));
                return unconvertible(&config.value, &said, &problem.unwrap_or(why));
            }
            (Self::Json { .. } | Self::Merge { .. }, Misfit::Malformed(status)) => {
                match self.patched(old, target).map(|outcome| outcome.value) {
                    Ok(outcome) => match body::untyped(&outcome) {
                        Some(why) => self.shown(old, target, &outcome, why),
                        None => return status,
                    },
                    Err(status) => return status,
                }
            }
            (_, Misfit::Malformed(status)) => return status,
            (_, Misfit::Undecodable { why, .. }) => match self.patched(old, target) {
                Ok(outcome) => self.shown(old, target, &outcome.value, why),
                Err(status) => return status,
            },
        };
        let error = FieldError::invalid(&Path::new("patch"), shown, why);
        StatusError::invalid("", "", "", &[error])
    }

    /// Whether the patch itself says which version or which object it is for.
    pub(crate) fn names(&self, field: &str) -> bool {
        match self {
            Self::Json { .. } => false,
            Self::Merge { document, .. } | Self::Strategic(document) | Self::Apply(document) => {
                document.value.at(&["metadata", field]).is_some()
            }
        }
    }

    /// Who settles ownership after this patch.
    pub(crate) fn ownership(&self) -> Ownership {
        match self {
            Self::Apply(_) => Ownership::Applied,
            Self::Json { .. } | Self::Merge { .. } | Self::Strategic(_) => Ownership::Recorded,
        }
    }
}

/// An object that names no version is read as one of no version, whose type has no fields at all.
fn forget_unversioned(outcome: &mut Document) {
    let Value::Object(map) = &mut outcome.value else {
        return;
    };
    let is_named = map.get("apiVersion").is_some_and(|version| {
        let text = version.as_str();
        text.is_none_or(|text| !text.is_empty()) && !version.is_null()
    });
    let is_kind = |kind: &Value| kind.is_null() || kind.is_string();
    if is_named || !map.get("kind").is_none_or(is_kind) {
        return;
    }
    let unknown = map
        .keys()
        .filter(|field| !matches!(field.as_str(), "apiVersion" | "kind"));
    outcome.duplicates.extend(unknown.map(|field| {
        let quoted = meta::field::quote(field);
        format!("unknown field {quoted}")
    }));
    map.retain(|field, _| matches!(field.as_str(), "apiVersion" | "kind"));
}

/// An applied configuration must say what it is.
fn check_config(config: &Object, gvk: &Gvk) -> Result<(), StatusError> {
    let found = config.gvk();
    if found.as_ref() == Some(gvk) {
        return Ok(());
    }
    // A version that cannot be read leaves nothing, not even the kind.
    let found = Gvk::from_api_version(config.api_version(), config.kind());
    let Gvk {
        group,
        version,
        kind,
    } = found.unwrap_or_else(|| Gvk::new("", "", ""));
    Err(StatusError::bad_request(format!(
        "invalid object type: {group}/{version}, Kind={kind}"
    )))
}

/// A conversion into structs tells of text that is no base64 in words of its own.
fn in_conversion(why: String) -> String {
    if why.starts_with("illegal base64") {
        return format!("error decoding from json: {why}");
    }
    why
}

/// 500 for a configuration whose values fit the schema, but not the type. Source: `structuredMergeManager.Apply`.
fn unconvertible(config: &Object, said: &Gvk, why: &str) -> StatusError {
    let gvk = format!("{}/{}, Kind={}", said.group, said.version, said.kind);
    let why = in_conversion(why.to_owned());
    let (namespace, name) = (config.namespace(), config.name());
    StatusError::new(
        500,
        "",
        format!(
            "failed to convert new object ({namespace}/{name}; {gvk}) to proper version: unable to convert unstructured object to {gvk}: {why}"
        ),
    )
}

/// Patches the stored object and decodes the result strictly enough.
struct Patched<'a> {
    patch: Patch,
    target: Target<'a>,
    validation: FieldValidation,
    call: &'a Call,
    name: &'a str,
}

impl Change for Patched<'_> {
    fn change(&self, old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError> {
        let decoded = self.patch.outcome(old, &self.target, self.validation)?;
        self.call.keep_emptied(decoded.emptied);
        let mut new = decoded.object;
        if write::check_identity(self.call, &new, self.name).is_err() {
            // The caller says so, with the warnings.
            return Ok((new, decoded.warnings));
        }
        let version = old.map_or("", |old| old.resource_version());
        if new.resource_version().is_empty() && !version.is_empty() {
            // The patch took the version away.
            let kind = &self.call.kind;
            if kinds::write::needs_version(kind) {
                return Err(write::without_version(kind, new.name()));
            }
        } else if new.resource_version() == version && !self.patch.names("resourceVersion") {
            // A patch that does not name a version asks for none.
            new.remove(&["metadata", "resourceVersion"]);
        }
        Ok((new, decoded.warnings))
    }
    fn creates(&self) -> bool {
        matches!(self.patch, Patch::Apply(_))
    }
    fn identity(&self) -> Identity {
        Identity::Field
    }
    fn ownership(&self) -> Ownership {
        self.patch.ownership()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_says_what_and_where_in_texts() {
        assert_eq!(
            mistyped(&json!({"op": "add", "path": "/a", "value": 1})),
            None
        );
        assert_eq!(mistyped(&json!({"op": null})), None);
        assert_eq!(
            mistyped(&json!({"op": "add", "path": 5})).unwrap(),
            "json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string"
        );
    }
}
