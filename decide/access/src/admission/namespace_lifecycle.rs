//! NamespaceLifecycle: nothing is created in a namespace that is missing or going away; some namespaces stay.
//!
//! Source: apiserver `admission/plugin/namespace/lifecycle`.

use kinds::strategy::{Lookup, Operation};
use meta::status::Cause;
use meta::{GroupResource, ObjectExt, StatusError};

use super::{Plugin, Request};

/// Namespaces that may never be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub(super) struct NamespaceLifecycle;

impl Plugin for NamespaceLifecycle {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_namespace = request.resource.to_string() == "namespaces";
        if request.operation == Operation::Delete
            && is_namespace
            && IMMORTAL.contains(&request.name.as_str())
        {
            return Err(request.forbidden("this namespace may not be deleted"));
        }
        if is_namespace || request.namespace.is_empty() || request.operation != Operation::Create {
            return Ok(());
        }
        if is_access_review(&request.resource) {
            return Ok(());
        }
        let Some(namespace) = cluster.get("namespaces", "", &request.namespace) else {
            return Err(StatusError::not_found(
                &GroupResource::new("", "namespaces"),
                &request.namespace,
            ));
        };
        if namespace.deletion_timestamp().is_none() {
            return Ok(());
        }
        let why = format!(
            "unable to create new content in namespace {} because it is being terminated",
            request.namespace
        );
        let mut error = request.forbidden(&why);
        if let Some(details) = &mut error.0.details {
            details.causes.push(Cause {
                reason: "NamespaceTerminating".into(),
                message: format!("namespace {} is being terminated", request.namespace),
                field: "metadata.namespace".into(),
            });
        }
        Err(error)
    }
}

/// Access reviews may ask about namespaces that do not exist.
fn is_access_review(resource: &GroupResource) -> bool {
    resource.group == "authorization.k8s.io" && resource.resource == "localsubjectaccessreviews"
}
