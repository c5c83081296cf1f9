//! `selfsubjectrulesreviews`: everything I may do in a namespace.
//!
//! Source: `pkg/registry/authorization/selfsubjectrulesreview/rest.go`.

use access::rbac::Rule;
use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use meta::{ObjectExt, StatusError};
use serde_json::{Value, json};

use super::{Special, answer};
use crate::body;
use crate::call::Call;
use crate::options::WriteOptions;

/// Serves the kind.
pub(super) struct RulesReview;

#[async_trait]
impl Special for RulesReview {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let options = WriteOptions::read(&call.query, "CreateOptions")?;
        let decoded = body::object(call, options.field_validation)?;
        call.warn_if_refused(&decoded.warnings);
        let namespace = decoded.object.str_at(&["spec", "namespace"]);
        let namespace = namespace.unwrap_or_default();
        if namespace.is_empty() {
            return Err(StatusError::bad_request("no namespace on request"));
        }
        let rules = call.server.policy().rules_for(&call.user, namespace);
        let (resources, others): (Vec<&Rule>, Vec<&Rule>) = rules
            .iter()
            .partition(|rule| rule.non_resource_urls.is_empty());
        let resources: Vec<Value> = resources.into_iter().map(resource_rule).collect();
        let others: Vec<Value> = others
            .into_iter()
            .map(|rule| json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}))
            .collect();
        // What the Node authorizer allows besides depends on the pods of the node.
        let is_node = access::user::node_of(&call.user).is_some();
        let mut status =
            json!({"resourceRules": resources, "nonResourceRules": others, "incomplete": is_node});
        if is_node {
            let why = "node authorizer does not support user rule resolution";
            status.set(&["evaluationError"], why.into());
        }
        let review = json!({"kind": call.kind.kind, "apiVersion": call.api_version, "metadata": {},
            "spec": {}, "status": status});
        answer(call, StatusCode::CREATED, &review, &decoded.warnings)
    }
}

fn resource_rule(rule: &Rule) -> Value {
    let mut shown =
        json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
    if !rule.resource_names.is_empty() {
        shown.set(&["resourceNames"], json!(rule.resource_names));
    }
    shown
}
