//! What an authorizer is asked, and what it may answer.

use kinds::strategy::User;
use meta::selector::FieldSelector;
use meta::{GroupResource, StatusError};

/// One request, as authorizers see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Who asks.
    pub user: User,
    /// API verb (`get`, `list`, `deletecollection`, ...) or, for other paths, the lower-case HTTP method.
    pub verb: String,
    /// Namespace; empty for cluster-scoped requests.
    pub namespace: String,
    /// API group; empty for the core group.
    pub group: String,
    /// API version; not looked at by RBAC.
    pub version: String,
    /// Plural resource; empty for other paths.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Object name, or empty.
    pub name: String,
    /// What the field selector of a list, watch or deletion of many lets through.
    pub fields: FieldSelector,
    /// The path of a request that is for no resource.
    pub path: String,
    /// Whether `resource` is what the request is about; otherwise `path` is.
    pub is_resource: bool,
}

/// An authorizer's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request may pass.
    Allow,
    /// The request may not pass, whatever others say.
    Deny {
        /// Why, for the client; may be empty.
        reason: String,
    },
    /// This authorizer knows nothing about it.
    NoOpinion {
        /// Why not, for the client; may be empty.
        reason: String,
    },
}

impl Attributes {
    /// `resource` or `resource/subresource`, as rules name it.
    pub fn combined_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// The refusal a client reads. Source: apiserver `handlers/responsewriters` `forbiddenMessage`.
    pub fn forbidden(&self, reason: &str) -> StatusError {
        let user = meta::field::quote(&self.user.name);
        let mut why = if self.is_resource {
            let what = format!(
                "User {user} cannot {} resource {} in API group {}",
                self.verb,
                meta::field::quote(&self.combined_resource()),
                meta::field::quote(&self.group)
            );
            if self.namespace.is_empty() {
                format!("{what} at the cluster scope")
            } else {
                format!(
                    "{what} in the namespace {}",
                    meta::field::quote(&self.namespace)
                )
            }
        } else {
            format!(
                "User {user} cannot {} path {}",
                self.verb,
                meta::field::quote(&self.path)
            )
        };
        if !reason.is_empty() {
            why = format!("{why}: {reason}");
        }
        StatusError::forbidden(
            &GroupResource::new(&self.group, &self.resource),
            &self.name,
            &why,
        )
    }
}
