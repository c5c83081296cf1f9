//! The event, as it is written.
//!
//! Source: apiserver `apis/audit/v1`, `audit/request.go`, `audit/format.go`, `plugin/pkg/audit/truncate`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use kinds::strategy::User;
use meta::field::{html_safe, quote};
use meta::status::Details;
use meta::{Object, ObjectExt, Status};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Level, Stage};
use crate::attributes::Attributes;

/// Longest user agent that is told, in bytes. Source: `maxUserAgentLength`.
const USER_AGENT_BYTES_MAX: usize = 1024;
/// What follows one that was cut. Source: `userAgentTruncateSuffix`.
const USER_AGENT_CUT: &str = "...TRUNCATED";
/// Says that bodies were left out. Source: `truncate.annotationKey`.
const TRUNCATED: &str = "audit.k8s.io/truncated";

/// `audit.k8s.io/v1 Event`; its fields are written in this order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    kind: &'static str,
    api_version: &'static str,
    /// How much is told.
    pub level: Level,
    /// Of the request; all its events have it.
    #[serde(rename = "auditID")]
    pub audit_id: String,
    /// Of this event.
    pub stage: Stage,
    /// Path and query as they were sent.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// API verb, or the lower-case HTTP method.
    pub verb: String,
    /// Who sent it.
    pub user: UserInfo,
    /// As whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub impersonated_user: Option<UserInfo>,
    /// How that was allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_metadata: Option<AuthenticationMetadata>,
    /// From where.
    #[serde(rename = "sourceIPs", skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<IpAddr>,
    /// With what program.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// For what; `None` for a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_ref: Option<ObjectReference>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_status: Option<ResponseStatus>,
    /// The body that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object: Option<Box<RawValue>>,
    /// The body that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_object: Option<Box<RawValue>>,
    /// When it came.
    #[serde(serialize_with = "micro")]
    pub request_received_timestamp: Timestamp,
    /// When it came to this stage.
    #[serde(serialize_with = "micro")]
    pub stage_timestamp: Timestamp,
    /// What was noted on the way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// `authentication/v1 UserInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the user's")]
pub struct UserInfo {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// How somebody else was allowed to be acted as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationMetadata {
    /// The verb of the narrow way that was taken.
    pub impersonation_constraint: String,
}

/// The object of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are those of the request")]
pub struct ObjectReference {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

/// `meta/v1 Status` without its kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the Status's")]
pub struct ResponseStatus {
    pub metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    pub code: u16,
}

fn micro<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&meta::time::to_rfc3339_micro(*time))
}

impl Event {
    /// What is known of a request when its sender is; `request` is before impersonation.
    pub fn new(level: Level, audit_id: &str, request: &Attributes, received: Timestamp) -> Self {
        Self {
            kind: "Event",
            api_version: "audit.k8s.io/v1",
            level,
            audit_id: audit_id.to_owned(),
            stage: Stage::RequestReceived,
            request_uri: String::new(),
            verb: request.verb.clone(),
            user: UserInfo::of(&request.user),
            impersonated_user: None,
            authentication_metadata: None,
            source_ips: Vec::new(),
            user_agent: String::new(),
            object_ref: request.is_resource.then(|| ObjectReference::new(request)),
            response_status: None,
            request_object: None,
            response_object: None,
            request_received_timestamp: received,
            stage_timestamp: received,
            annotations: BTreeMap::new(),
        }
    }

    /// Notes the program, cut where it is long.
    pub fn set_user_agent(&mut self, agent: &str) {
        self.user_agent = if agent.len() > USER_AGENT_BYTES_MAX {
            let end = agent.floor_char_boundary(USER_AGENT_BYTES_MAX);
            format!("{}{USER_AGENT_CUT}", agent.get(..end).unwrap_or_default())
        } else {
            agent.to_owned()
        };
    }

    /// Notes as whom it is sent, and by which narrow way; empty for the old one.
    pub fn impersonated(&mut self, user: &User, constraint: &str) {
        self.impersonated_user = Some(UserInfo::of(user));
        if !constraint.is_empty() {
            self.authentication_metadata = Some(AuthenticationMetadata {
                impersonation_constraint: constraint.to_owned(),
            });
        }
    }

    /// Notes the object that was sent, as its kind is written; its identity completes the request's.
    pub fn requested(&mut self, object: &Object, encoded: Option<Box<RawValue>>) {
        let reference = self.object_ref.get_or_insert_default();
        let said = [
            (&mut reference.namespace, object.namespace()),
            (&mut reference.name, object.name()),
            (&mut reference.uid, object.uid()),
            (&mut reference.resource_version, object.resource_version()),
        ];
        for (known, said) in said {
            if known.is_empty() {
                said.clone_into(known);
            }
        }
        self.request_object = encoded;
    }

    /// Notes how it ended: what the answer says of itself, if it is a Status, and its code.
    pub fn answered(&mut self, status: Option<Status>, code: u16) {
        let status = status.unwrap_or_default();
        self.response_status = Some(ResponseStatus {
            metadata: Map::new(),
            status: status.status,
            message: status.message,
            reason: status.reason,
            details: status.details,
            code,
        });
    }

    /// The line of the log, as JSON.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let mut line = html_safe(serde_json::to_string(self)?);
        line.push('\n');
        Ok(line)
    }

    /// The line of the log in the legacy format.
    pub fn legacy(&self) -> String {
        let none = || "<none>".to_owned();
        let list = |groups: &[String]| {
            let quoted: Vec<String> = groups.iter().map(|group| quote(group)).collect();
            quoted.join(",")
        };
        let or = |text: &str, absent: fn() -> String| match text {
            "" => absent(),
            text => text.to_owned(),
        };
        let user = or(&self.user.username, || "<none>".to_owned());
        let groups = if self.user.username.is_empty() || self.user.groups.is_empty() {
            none()
        } else {
            list(&self.user.groups)
        };
        let acted = self.impersonated_user.as_ref();
        let as_user = acted.map_or("<self>", |user| user.username.as_str());
        let as_groups = acted.map_or_else(|| "<lookup>".to_owned(), |user| list(&user.groups));
        let namespace = self.object_ref.as_ref();
        let namespace = namespace.map_or_else(none, |of| or(&of.namespace, || "<none>".to_owned()));
        let code = self.response_status.as_ref();
        let code = code.map_or_else(|| "<deferred>".to_owned(), |status| status.code.to_string());
        let ip = self.source_ips.first();
        let ip = ip.map_or_else(|| "<unknown>".to_owned(), ToString::to_string);
        format!(
            "{} AUDIT: id={} stage={} ip={} method={} user={} groups={} as={} asgroups={} user-agent={} namespace={} uri={} response=\"{code}\"\n",
            self.request_received_timestamp,
            quote(&self.audit_id),
            quote(self.stage.name()),
            quote(&ip),
            quote(&self.verb),
            quote(&user),
            quote(&groups),
            quote(as_user),
            quote(&as_groups),
            quote(&self.user_agent),
            quote(&namespace),
            quote(&self.request_uri),
        )
    }

    /// Leaves the bodies out, and says so.
    pub fn truncate(&mut self) {
        self.request_object = None;
        self.response_object = None;
        self.annotations.insert(TRUNCATED.into(), "true".into());
    }
}

impl UserInfo {
    fn of(user: &User) -> Self {
        Self {
            username: user.name.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
        }
    }
}

impl ObjectReference {
    fn new(request: &Attributes) -> Self {
        Self {
            resource: request.resource.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            uid: String::new(),
            api_group: request.group.clone(),
            api_version: request.version.clone(),
            resource_version: String::new(),
            subresource: request.subresource.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
