//! `tokenreviews`: who stands behind a token.
//!
//! Source: `pkg/registry/authentication/tokenreview/storage.go`.

use access::authn::service_account_token::ISSUER;
use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use meta::{ObjectExt, StatusError};
use serde_json::{Value, json};

use super::user_info::user_info;
use super::{Special, answer};
use crate::call::Call;
use crate::options::WriteOptions;
use crate::{auth, body, ownership};

/// Source: apiserver `authentication/request/bearertoken`.
const UNKNOWN: &str = "invalid bearer token";

/// Serves the kind.
pub(super) struct TokenReview;

#[async_trait]
impl Special for TokenReview {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let options = WriteOptions::read(&call.query, "CreateOptions")?;
        let decoded = body::object(call, options.field_validation)?;
        let mut review = decoded.object;
        ownership::record(call, &options, None, &mut review);
        let token = review.str_at(&["spec", "token"]).unwrap_or_default();
        if token.is_empty() {
            return Err(StatusError::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        let mut audiences: Vec<String> = review
            .list_at(&["spec", "audiences"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        let status = match auth::token_user_for(&call.server, token, &audiences).await {
            Ok((user, audiences)) => {
                json!({"authenticated": true, "user": user_info(&user), "audiences": audiences})
            }
            Err(None) => json!({"user": {}, "error": UNKNOWN}),
            // Upstream asks one authenticator after the other, and tells what each of them found.
            Err(Some(why)) => json!({"user": {}, "error": format!("[{UNKNOWN}, {why}]")}),
        };
        review.set(&["status"], status);
        answer(call, StatusCode::CREATED, &review, &decoded.warnings)
    }
}
