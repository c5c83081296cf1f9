//! DefaultTolerationSeconds: pods stay five minutes on a node that is not ready or cannot be reached.
//!
//! Source: `plugin/pkg/admission/defaulttolerationseconds`.

use kinds::strategy::{Lookup, Operation};
use meta::{ObjectExt, StatusError};
use serde_json::{Value, json};

use super::{Plugin, Request};

const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];

pub(super) struct DefaultTolerationSeconds;

impl Plugin for DefaultTolerationSeconds {
    fn admit(&self, request: &mut Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_for("pods", &[Operation::Create, Operation::Update]) {
            return Ok(());
        }
        let Some(pod) = &mut request.object else {
            return Ok(());
        };
        let mut tolerations = pod.list_at(&["spec", "tolerations"]).to_vec();
        let before = tolerations.len();
        for taint in TAINTS {
            if !tolerations
                .iter()
                .any(|toleration| covers(toleration, taint))
            {
                tolerations.push(json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}));
            }
        }
        if tolerations.len() > before {
            pod.set(&["spec", "tolerations"], tolerations.into());
        }
        Ok(())
    }
}

/// Whether a toleration already speaks for the taint (or for every taint).
fn covers(toleration: &Value, taint: &str) -> bool {
    let text = |field: &str| toleration.str_at(&[field]).unwrap_or_default();
    let (key, effect) = (text("key"), text("effect"));
    (key.is_empty() || key == taint) && (effect.is_empty() || effect == "NoExecute")
}
