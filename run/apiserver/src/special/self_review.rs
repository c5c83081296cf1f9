//! `selfsubjectreviews`: who am I.

use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use meta::StatusError;
use serde_json::json;

use super::user_info::user_info;
use super::{Special, answer};
use crate::body;
use crate::call::Call;
use crate::options::WriteOptions;

/// Serves the kind.
pub(super) struct SelfReview;

#[async_trait]
impl Special for SelfReview {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let options = WriteOptions::read(&call.query, "CreateOptions")?;
        let decoded = body::object(call, options.field_validation)?;
        let review = json!({"kind": call.kind.kind, "apiVersion": call.api_version,
            "metadata": {"creationTimestamp": meta::time::to_rfc3339(call.now)},
            "status": {"userInfo": user_info(&call.user)}});
        answer(call, StatusCode::CREATED, &review, &decoded.warnings)
    }
}
