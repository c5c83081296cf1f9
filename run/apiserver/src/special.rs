//! What is more than the generic verbs: subresources with a body of their own, and kinds that are asked, not stored.
//!
//! One small file each. `status`, `finalize`, `approval`, `ephemeralcontainers` and `resize` are not here: their body is
//! the object itself, so the generic verbs serve them and the kind's strategy says what they may change.

mod access_review;
mod binding;
mod component_status;
mod eviction;
mod rules_review;
mod scale;
mod self_review;
mod token;
mod token_review;
mod user_info;

use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use kinds::Kind;
use kinds::schema::{self, Schema};
use meta::{Gvk, Object, ObjectExt as _, Status, StatusError};

use crate::call::Call;
use crate::options::WriteOptions;
use crate::{body, respond};

/// Serves the verbs of one subresource or of one kind that is not stored.
#[async_trait]
pub(crate) trait Special: Sync {
    /// Answers a call whose verb the row serves.
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError>;
}

/// Subresources by name; whatever kind serves them, they mean the same.
const SUBRESOURCES: &[(&str, &dyn Special)] = &[
    ("binding", &binding::Binding),
    ("eviction", &eviction::Eviction),
    ("scale", &scale::Scale),
    ("token", &token::Token),
];

/// Kinds that are not stored, by `plural.group`.
const KINDS: &[(&str, &dyn Special)] = &[
    ("bindings", &binding::Binding),
    ("componentstatuses", &component_status::ComponentStatus),
    (
        "localsubjectaccessreviews.authorization.k8s.io",
        &access_review::Local,
    ),
    (
        "selfsubjectaccessreviews.authorization.k8s.io",
        &access_review::Own,
    ),
    (
        "selfsubjectreviews.authentication.k8s.io",
        &self_review::SelfReview,
    ),
    (
        "selfsubjectrulesreviews.authorization.k8s.io",
        &rules_review::RulesReview,
    ),
    (
        "subjectaccessreviews.authorization.k8s.io",
        &access_review::Anyone,
    ),
    (
        "tokenreviews.authentication.k8s.io",
        &token_review::TokenReview,
    ),
];

/// Who serves a call instead of the generic verbs; `None` when those do.
pub(crate) fn of(kind: &Kind, subresource: &str) -> Option<&'static dyn Special> {
    let (table, name) = if subresource.is_empty() {
        (KINDS, kind.group_resource().to_string())
    } else {
        (SUBRESOURCES, subresource.to_owned())
    };
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, special)| *special)
}

/// A built-in type that is no row.
struct BodyType {
    gvk: Gvk,
    schema: Schema,
}

impl BodyType {
    fn of(gvk: Gvk, type_name: &str) -> Result<Self, StatusError> {
        let schema = schema::builtin(type_name)
            .ok_or_else(|| StatusError::internal(format!("no facts about {type_name}")))?;
        Ok(Self { gvk, schema })
    }

    /// Decodes the call's body as this type; answers with its warnings too.
    fn decode(
        &self,
        call: &Call,
        options: &WriteOptions,
    ) -> Result<(Object, Vec<String>), StatusError> {
        let document = body::document(call)?;
        let decoded = body::decode_as(
            document,
            &self.gvk,
            &self.schema,
            options.field_validation,
            &call.body,
        )?;
        call.warn_if_refused(&decoded.warnings);
        if let Some(audit) = &call.audit {
            audit.requested(&decoded.object, |_| {});
        }
        check_namespace(call, &decoded.object)?;
        Ok((decoded.object, decoded.warnings))
    }
}

/// Refuses a body that names another namespace than the path. Source: `rest.EnsureObjectNamespaceMatchesRequestNamespace`.
fn check_namespace(call: &Call, object: &Object) -> Result<(), StatusError> {
    let (given, asked) = (object.namespace(), call.info.namespace.as_str());
    if given.is_empty() || asked.is_empty() || given == asked {
        return Ok(());
    }
    let why =
        "the namespace of the provided object does not match the namespace sent on the request";
    Err(StatusError::bad_request(why))
}

/// An object as the answer, in the format the client asked for.
fn answer(
    call: &Call,
    code: StatusCode,
    object: &Object,
    warnings: &[String],
) -> Result<Response<Body>, StatusError> {
    let mut response = respond::value(code, &call.answer, object)?;
    respond::warn(&mut response, warnings);
    Ok(response)
}

/// What creates answer that leave no object behind.
fn created(call: &Call) -> Result<Response<Body>, StatusError> {
    let mut status = Status::success();
    status.code = StatusCode::CREATED.as_u16();
    respond::status(call, &status)
}
