//! PATCH: JSON patch, merge patch, strategic merge patch, server-side apply.

use axum::body::Body;
use http::Response;
use kinds::schema::{Schema, restore};
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
    let reset = call.kind.strategy.reset_fields(call.subresource());
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
    };
    let written = write::update(call, &call.info.name, &options, &change).await?;
    let mut response = respond::object(call, &call.kind, written.code(), written.object.clone())?;
    respond::warn(&mut response, &written.warnings);
    Ok(response)
}

/// Reads the options and the patch in the form its content type names.
pub(crate) fn read_patch(call: &Call) -> Result<(WriteOptions, Patch), StatusError> {
    let options = WriteOptions::read(&call.query, "PatchOptions")?;
    let content_type = media::media_type(call.header(http::header::CONTENT_TYPE));
    ownership::check_options(&options, content_type == APPLY)?;
    let patch = match content_type {
        JSON => {
            check_operations(call)?;
            Patch::Json(call.body.to_vec())
        }
        MERGE => match read(call, "error decoding patch: ")? {
            document if document.value.is_null() => {
                return Err(StatusError::bad_request("Invalid JSON Patch"));
            }
            document => Patch::Merge(document),
        },
        STRATEGIC => {
            let mut document = read(call, "")?;
            if document.value.is_null() {
                document.value = Value::Object(serde_json::Map::new());
            }
            Patch::Strategic(document)
        }
        APPLY => Patch::Apply(
            wire::yaml::read(&call.body)
                .map_err(|why| StatusError::bad_request(format!("error decoding YAML: {why}")))?,
        ),
        _ => {
            let words = "415: Unsupported Media Type";
            let error = StatusError::new(415, "UnsupportedMediaType", words);
            return Err(error.with_details(Details::default()));
        }
    };
    Ok((options, patch))
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

/// The operations of a JSON patch must be a list.
fn check_operations(call: &Call) -> Result<(), StatusError> {
    let refuse = |why: &str| StatusError::bad_request(format!("error decoding patch: {why}"));
    let document = wire::json::read(&call.body).map_err(|why| refuse(&why))?;
    match (&document.value, body::go_sort(&document.value)) {
        (Value::Array(_), _) | (_, None) => Ok(()),
        (_, Some(sort)) => Err(refuse(&format!(
            "json: cannot unmarshal {sort} into Go value of type []handlers.jsonPatchOp"
        ))),
    }
}

/// A patch in one of its four forms.
pub(crate) enum Patch {
    /// RFC 6902, as it came.
    Json(Vec<u8>),
    /// RFC 7386.
    Merge(Document),
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
            Self::Json(patch) => (patch::json(present()?, patch)?, &[]),
            Self::Merge(document) => (
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

    /// Whether the patch itself says which version or which object it is for.
    pub(crate) fn names(&self, field: &str) -> bool {
        match self {
            Self::Json(_) => false,
            Self::Merge(document) | Self::Strategic(document) | Self::Apply(document) => {
                document.value.at(&["metadata", field]).is_some()
            }
        }
    }

    /// Who settles ownership after this patch.
    pub(crate) fn ownership(&self) -> Ownership {
        match self {
            Self::Apply(_) => Ownership::Applied,
            Self::Json(_) | Self::Merge(_) | Self::Strategic(_) => Ownership::Recorded,
        }
    }
}

/// An applied configuration must say what it is.
fn check_config(config: &Object, gvk: &Gvk) -> Result<(), StatusError> {
    let found = config.gvk();
    if found.as_ref() == Some(gvk) {
        return Ok(());
    }
    let (group, version, kind) = match found {
        Some(found) => (found.group, found.version, found.kind),
        None => (
            String::new(),
            config.api_version().to_owned(),
            config.kind().to_owned(),
        ),
    };
    Err(StatusError::bad_request(format!(
        "invalid object type: {group}/{version}, Kind={kind}"
    )))
}

/// 500 for a configuration whose values fit the schema, but not the type. Source: `structuredMergeManager.Apply`.
fn unconvertible(config: &Object, said: &Gvk, why: &str) -> StatusError {
    let gvk = format!("{}/{}, Kind={}", said.group, said.version, said.kind);
    let why = if why.starts_with("illegal base64") {
        format!("error decoding from json: {why}")
    } else {
        why.to_owned()
    };
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
}

impl Patched<'_> {
    /// A strategic patch is made on the type itself: the kind and version it names change nothing.
    fn keep_kind(&self, outcome: &mut Value) -> Result<(), StatusError> {
        for (field, kept) in [
            ("apiVersion", self.target.gvk.api_version()),
            ("kind", self.target.gvk.kind.clone()),
        ] {
            let is_text = |value: &Value| value.is_string() || value.is_null();
            if outcome.get(field).is_some_and(|value| !is_text(value)) {
                let why = restore::problem(self.target.schema, outcome).unwrap_or_default();
                let (shown, why) = self.shown(None, outcome, why);
                let error = FieldError::invalid(&Path::new("patch"), shown, why);
                return Err(StatusError::invalid("", "", "", &[error]));
            }
            outcome.set(&[field], kept.into());
        }
        Ok(())
    }

    /// What is shown of a patch whose outcome is no object, and why it is none: for a strategic one the patch itself.
    fn shown(&self, old: Option<&Object>, outcome: &Value, why: String) -> (String, String) {
        let schema = self.target.schema;
        match &self.patch {
            Patch::Strategic(patch) => {
                let why = restore::problem(schema, outcome).unwrap_or(why);
                (patch::go_text(&patch.value), why)
            }
            _ => (restore::text(schema, old, outcome), why),
        }
    }

    /// The answer to a patch whose outcome is no object of the kind; it shows the outcome, or a strategic patch itself.
    fn refusal(&self, old: Option<&Object>, misfit: Misfit) -> StatusError {
        let (shown, why) = match (&self.patch, misfit) {
            (Patch::Apply(config), Misfit::Undecodable { said, why }) => {
                return unconvertible(&config.value, &said, &why);
            }
            (_, Misfit::Malformed(status)) => return status,
            (_, Misfit::Undecodable { why, .. }) => match self.patch.patched(old, &self.target) {
                Ok(outcome) => self.shown(old, &outcome.value, why),
                Err(status) => return status,
            },
        };
        let error = FieldError::invalid(&Path::new("patch"), shown, why);
        StatusError::invalid("", "", "", &[error])
    }
}

impl Change for Patched<'_> {
    fn change(&self, old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError> {
        let mut document = self.patch.patched(old, &self.target)?;
        let (gvk, schema) = (self.target.gvk, self.target.schema);
        if matches!(self.patch, Patch::Strategic(_)) {
            self.keep_kind(&mut document.value)?;
        }
        let decoded = match body::fit(document, gvk, schema, self.validation, &[]) {
            Ok(decoded) => decoded,
            Err(misfit) => return Err(self.refusal(old, misfit)),
        };
        let mut new = decoded.object;
        let version = old.map_or("", |old| old.resource_version());
        // A patch that does not name a version asks for none.
        if new.resource_version() == version && !self.patch.names("resourceVersion") {
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
