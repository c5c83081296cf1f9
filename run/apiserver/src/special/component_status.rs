//! `componentstatuses`: whether the parts of the control plane are well. They are one process here.

use std::collections::BTreeMap;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use meta::selector::FieldTerm;
use meta::{GroupResource, StatusError};
use serde_json::{Value, json};

use super::Special;
use crate::call::Call;
use crate::options::ListOptions;
use crate::respond;
use crate::selection::Selection;
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
            let options = ListOptions::read(&call.query, false)?;
            Selection::read(&options, call, name)?;
            let parts = PARTS.into_iter().filter(|part| is_selected(&options, part));
            let items = parts.map(|part| bytes(&status(part))).collect();
            return list::answer_items(call, items).await;
        }
        if !PARTS.contains(&name) {
            let resource = GroupResource::new("", "componentstatus");
            return Err(StatusError::not_found(&resource, name));
        }
        respond::object(call, &call.kind, StatusCode::OK, bytes(&status(name)))
    }
}

/// Whether a part is asked for; parts have a name and nothing else to select them by.
fn is_selected(options: &ListOptions, part: &str) -> bool {
    let mut terms = options.fields.0.iter();
    let is_met = |term: &FieldTerm| {
        let value = if term.field == "metadata.name" {
            part
        } else {
            ""
        };
        (term.value == value) == term.equal
    };
    terms.all(is_met) && options.labels.matches(&BTreeMap::new())
}

fn bytes(value: &Value) -> Bytes {
    wire::encode::bytes(value).into()
}

fn status(part: &str) -> Value {
    json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": part},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]})
}
