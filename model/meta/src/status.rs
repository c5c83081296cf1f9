//! The Status body: how every refusal reaches a client. Wording follows apimachinery's `api/errors`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::field::{self, FieldError};
use crate::id::{GroupResource, qualified};

/// `meta/v1 Status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Always `Status`.
    pub kind: String,
    /// Always `v1`.
    pub api_version: String,
    /// Always empty here.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// `Success` or `Failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// For programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// The HTTP code.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub code: u16,
}

/// `Status.details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    /// Name of the object, or of the operation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// API group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind or resource, as upstream fills it for each reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Uid of the object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Single causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds to wait before trying again; 0 means unsaid.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry_after_seconds: u16,
}

/// `Status.details.causes[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Machine-readable cause.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Path of the field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// A refusal; the one error type of the write path and of every API handler.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusError(pub Box<Status>);

impl std::error::Error for StatusError {}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Status {
    /// A success body.
    pub fn success() -> Self {
        Self {
            status: Some("Success".into()),
            code: 200,
            ..Self::base()
        }
    }
    fn base() -> Self {
        Self {
            kind: "Status".into(),
            api_version: "v1".into(),
            ..Self::default()
        }
    }
}

impl StatusError {
    /// Any failure by its code, reason and message.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self(Box::new(Status {
            status: Some("Failure".into()),
            reason: reason.into(),
            message: message.into(),
            code,
            ..Status::base()
        }))
    }
    /// The same failure with details.
    #[must_use]
    pub fn with_details(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }
    fn about(self, resource: &GroupResource, name: &str) -> Self {
        self.with_details(Details {
            name: name.into(),
            group: resource.group.clone(),
            kind: resource.resource.clone(),
            ..Details::default()
        })
    }
    /// HTTP code.
    pub fn code(&self) -> u16 {
        self.0.code
    }
    /// Machine-readable reason.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// 404, the object is not there.
    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{resource} {} not found", field::quote(name)),
        )
        .about(resource, name)
    }
    /// 404, no such path is served.
    pub fn no_route() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
        .with_details(Details::default())
    }
    /// 409, the name is taken.
    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(
            409,
            "AlreadyExists",
            format!("{resource} {} already exists", field::quote(name)),
        )
        .about(resource, name)
    }
    /// 409, the precondition failed; `why` ends the sentence.
    pub fn conflict(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {resource} {}: {why}",
            field::quote(name)
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }
    /// 409, the object changed since it was read.
    pub fn modified(resource: &GroupResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }
    /// 403; `name` may be empty.
    pub fn forbidden(resource: &GroupResource, name: &str, why: &str) -> Self {
        let message = match (resource.resource.as_str(), name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{resource} is forbidden: {why}"),
            _ => format!("{resource} {} is forbidden: {why}", field::quote(name)),
        };
        Self::new(403, "Forbidden", message).about(resource, name)
    }
    /// 401.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }
    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }
    /// 405, with the verb upstream would name.
    pub fn method_not_supported(resource: &GroupResource, action: &str) -> Self {
        let message = format!(
            "{action} is not supported on resources of kind {}",
            field::quote(&resource.to_string())
        );
        Self::new(405, "MethodNotAllowed", message).about(resource, "")
    }
    /// 405, as the router says it.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
        .with_details(Details::default())
    }
    /// 410, the revision is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }
    /// 422, with every field's error. `kind` is the kind's name, not the resource.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let subject = format!(
            "{} {} is invalid",
            qualified(kind, group),
            field::quote(name)
        );
        let message = if errors.is_empty() {
            subject
        } else {
            format!("{subject}: {}", field::aggregate(errors))
        };
        let causes = errors.iter().map(|error| Cause {
            reason: error.error_type.cause().into(),
            message: error.body(),
            field: error.field.clone(),
        });
        Self::new(422, "Invalid", message).with_details(Details {
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
            causes: causes.collect(),
            ..Details::default()
        })
    }
    /// 429, try again after so many seconds.
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u16) -> Self {
        Self::new(429, "TooManyRequests", message).with_details(Details {
            retry_after_seconds,
            ..Details::default()
        })
    }
    /// 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }
    /// 500; `why` is shown to the client.
    pub fn internal(why: impl fmt::Display) -> Self {
        let cause = Cause {
            message: why.to_string(),
            ..Cause::default()
        };
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
        .with_details(Details {
            causes: vec![cause],
            ..Details::default()
        })
    }
    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }
    /// 415, listing what would be accepted.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }
    /// 406, as the router says it. Source: go-restful `RouterJSR311.detectRoute`.
    pub fn no_representation(available: &[&str]) -> Self {
        let message = format!(
            "406: Not Acceptable\n\nAvailable representations: {}",
            available.join(", ")
        );
        Self::new(406, "NotAcceptable", message).with_details(Details::default())
    }
    /// 406 for an object that cannot be turned into what the client asked for.
    pub fn not_convertible(why: &str) -> Self {
        Self::new(406, "NotAcceptable", why)
    }
    /// 406, listing what can be produced.
    pub fn not_acceptable(produced: &[&str]) -> Self {
        let message = format!(
            "only the following media types are accepted: {}",
            produced.join(", ")
        );
        Self::new(406, "NotAcceptable", message)
    }
}
