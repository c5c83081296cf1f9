//! `componentstatuses`: whether the parts of the control plane are well. They are one process here.

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use meta::{GroupResource, StatusError};
use serde_json::{Value, json};

use super::Special;
use crate::call::Call;
use crate::respond;
use crate::verbs::list;

/// Serves the kind.
pub(super) struct ComponentStatus;

/// The parts that a stock server asks. Source: `pkg/controlplane` `componentStatusStorage`.
const PARTS: [&str; 3] = ["controller-manager", "etcd-0", "scheduler"];

#[async_trait]
impl Special for ComponentStatus {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let name = call.info.name.as_str();
        if name.is_empty() {
            let items = PARTS.iter().map(|part| bytes(&status(part))).collect();
            return list::answer_items(call, items).await;
        }
        if !PARTS.contains(&name) {
            let resource = GroupResource::new("", "componentstatus");
            return Err(StatusError::not_found(&resource, name));
        }
        respond::object(call, &call.kind, StatusCode::OK, bytes(&status(name)))
    }
}

fn bytes(value: &Value) -> Bytes {
    wire::encode::bytes(value).into()
}

fn status(part: &str) -> Value {
    json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": part},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]})
}
