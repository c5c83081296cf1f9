//! PATCH: JSON patch, merge patch, strategic merge patch, server-side apply.

use axum::body::Body;
use http::Response;
use kinds::schema::Schema;
use meta::{Gvk, Object, ObjectExt, StatusError};
use serde_json::Value;
use wire::json::Document;
use wire::media;

use crate::call::Call;
use crate::options::{FieldValidation, WriteOptions};
use crate::write::{Change, Ownership};
use crate::{body, ownership, respond, write};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const ACCEPTED: &[&str] = &[JSON, MERGE, STRATEGIC, APPLY];

pub(super) async fn patch(call: &Call) -> Result<Response<Body>, StatusError> {
    let options = WriteOptions::read(&call.query, "PatchOptions")?;
    let content_type = media::media_type(call.header(http::header::CONTENT_TYPE));
    ownership::check_options(&options, content_type == APPLY)?;
    if content_type == APPLY {
        return apply(call, &options).await;
    }
    let patch = match content_type {
        JSON => Patch::Json(call.body.to_vec()),
        MERGE => Patch::Merge(read(call)?),
        STRATEGIC => Patch::Strategic(read(call)?),
        _ => return Err(StatusError::unsupported_media_type(ACCEPTED)),
    };
    let change = Patched {
        patch,
        gvk: call.kind.gvk(),
        schema: call.kind.schema.clone(),
        validation: options.field_validation,
    };
    write(call, &options, &change).await
}

async fn write(
    call: &Call,
    options: &WriteOptions,
    change: &dyn Change,
) -> Result<Response<Body>, StatusError> {
    let written = write::update(call, &call.info.name, options, change).await?;
    let mut response = respond::object(call, &call.kind, written.code(), written.object.clone())?;
    respond::warn(&mut response, &written.warnings);
    Ok(response)
}

async fn apply(call: &Call, options: &WriteOptions) -> Result<Response<Body>, StatusError> {
    let document = wire::yaml::read(&call.body)
        .map_err(|why| StatusError::bad_request(format!("error decoding YAML: {why}")))?;
    let (config, gvk) = (&document.value, call.kind.gvk());
    if config.gvk().as_ref() != Some(&gvk) {
        let found = config.gvk();
        let (version, kind) = match found {
            Some(found) => (found.api_version(), found.kind),
            None => (config.api_version().to_owned(), config.kind().to_owned()),
        };
        let version = if version.is_empty() {
            "/".to_owned()
        } else {
            version
        };
        return Err(StatusError::bad_request(format!(
            "invalid object type: {version}, Kind={kind}"
        )));
    }
    write(
        call,
        options,
        &Applied {
            call,
            options,
            config: document.value.clone(),
        },
    )
    .await
}

/// Merges an applied configuration.
struct Applied<'a> {
    call: &'a Call,
    options: &'a WriteOptions,
    config: Value,
}

impl Change for Applied<'_> {
    fn change(&self, old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError> {
        let kind = &self.call.kind;
        let value = ownership::apply(self.call, self.options, old, &self.config)?;
        let document = Document {
            value,
            duplicates: Vec::new(),
        };
        let decoded = body::decode_as(
            document,
            &kind.gvk(),
            &kind.schema,
            self.options.field_validation,
        )?;
        let mut new = decoded.object;
        if self.config.resource_version().is_empty() {
            new.remove(&["metadata", "resourceVersion"]);
        }
        Ok((new, decoded.warnings))
    }
    fn creates(&self) -> bool {
        true
    }
    fn ownership(&self) -> Ownership {
        Ownership::Applied
    }
}

/// Patches are JSON; YAML is taken too, as upstream does.
fn read(call: &Call) -> Result<Document, StatusError> {
    let read = wire::json::read(&call.body).or_else(|_| wire::yaml::read(&call.body));
    let document =
        read.map_err(|why| StatusError::bad_request(format!("error decoding patch: {why}")))?;
    if document.value.is_object() {
        return Ok(document);
    }
    Err(StatusError::bad_request(
        "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}",
    ))
}

enum Patch {
    Json(Vec<u8>),
    Merge(Document),
    Strategic(Document),
}

/// Applies a patch to the stored object and decodes the result strictly enough.
struct Patched {
    patch: Patch,
    gvk: Gvk,
    schema: Schema,
    validation: FieldValidation,
}

impl Change for Patched {
    fn change(&self, old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError> {
        let Some(old) = old else {
            return Err(StatusError::internal("a patch needs an object"));
        };
        let (value, duplicates): (Value, &[String]) = match &self.patch {
            Patch::Json(patch) => (patch::json(old, patch)?, &[]),
            Patch::Merge(document) => (patch::merge(old, &document.value), &document.duplicates),
            Patch::Strategic(document) => (
                patch::strategic(old, &document.value, &self.schema)?,
                &document.duplicates,
            ),
        };
        let document = Document {
            value,
            duplicates: duplicates.to_vec(),
        };
        let decoded = body::decode_as(document, &self.gvk, &self.schema, self.validation)?;
        let mut new = decoded.object;
        // A patch that does not name a version asks for none.
        if new.resource_version() == old.resource_version() && !self.names_version() {
            new.remove(&["metadata", "resourceVersion"]);
        }
        Ok((new, decoded.warnings))
    }
}

impl Patched {
    fn names_version(&self) -> bool {
        match &self.patch {
            Patch::Json(_) => false,
            Patch::Merge(document) | Patch::Strategic(document) => {
                !document.value.resource_version().is_empty()
            }
        }
    }
}
